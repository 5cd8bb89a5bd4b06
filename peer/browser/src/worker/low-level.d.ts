// The part of @automerge/automerge that works on the core's objects themselves. The build maps the name to
// dist/mjs/low_level.js of that package, which its exports do not list.
declare module "automerge-low-level" {
  import type { API } from "@automerge/automerge/slim"
  export const ApiHandler: API
}
