import { test as base, type BrowserContext, type Page } from "@playwright/test"
import type * as Syncline from "../src/index.ts"
import { openPage, Profile } from "./browser.ts"
import { NativePeer, Relay } from "./program.ts"
import { PageServer } from "./server.ts"

/** What the pages of the tests have in their global scope. */
declare global {
  var syncline: typeof Syncline & typeof import("../src/text.ts") & typeof import("../src/offline.ts")
  var peer: Syncline.Peer
  var doc: Syncline.Document
  var acknowledge: (id: string) => Promise<void>
}

/** Opens pages of the tests' server. */
export interface Pages {
  server: PageServer
  open(context: BrowserContext, path?: string): Promise<Page>
}

interface Fixtures {
  /** A browser profile, not started. */
  profile: Profile
  /** A second one. */
  other: Profile
  pages: Pages
  relay: Relay
  native: NativePeer
}

async function profileOf(use: (p: Profile) => Promise<void>): Promise<void> {
  const p = new Profile()
  await use(p)
  await p.close()
}

export const test = base.extend<Fixtures>({
  profile: async ({}, use) => profileOf(use),
  other: async ({}, use) => profileOf(use),
  pages: async ({}, use) => {
    const server = await PageServer.start()
    await use({ server, open: (context, path = "/") => openPage(context, server.url + path) })
    await server.stop()
  },
  relay: async ({}, use) => {
    const relay = await new Relay().start()
    await use(relay)
    await relay.close()
  },
  native: async ({}, use) => {
    const native = new NativePeer()
    await use(native)
    await native.close()
  },
})
export { expect } from "@playwright/test"
