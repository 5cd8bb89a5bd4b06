import { defineConfig } from "@playwright/test"

// npx playwright test -c demo: the page as `syncline demo --serve` serves it.
export default defineConfig({
  testDir: "test",
  globalSetup: "./test/setup.ts",
  reporter: [["list"], ["../test/counting-reporter.ts"]],
  // Generous: the machine may be busy, and what is waited for is an event.
  timeout: 180_000,
  expect: { timeout: 60_000 },
  workers: Number(process.env.SYNCLINE_BROWSER_WORKERS ?? 2),
  fullyParallel: true,
  outputDir: "test-results/out",
})
