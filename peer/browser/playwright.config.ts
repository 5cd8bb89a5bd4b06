import { defineConfig } from "@playwright/test"

export default defineConfig({
  testDir: "test",
  testMatch: "*.spec.ts",
  globalSetup: "./test/setup.ts",
  reporter: [["list"], ["./test/counting-reporter.ts"]],
  // Generous: the machine may be busy, and what is waited for is an event.
  timeout: 600_000,
  expect: { timeout: 30_000 },
  workers: Number(process.env.SYNCLINE_BROWSER_WORKERS ?? 2),
  fullyParallel: true,
  outputDir: "test-results",
})
