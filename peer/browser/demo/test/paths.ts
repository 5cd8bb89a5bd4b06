import { join } from "node:path"
import { root } from "../../test/paths.ts"

/** Where the tests leave what they make: the program and the pictures. */
export const results = join(root, "demo", "test-results")
/** The syncline program, as the tests build it or are given it. */
export const programPath = process.env.SYNCLINE_PROGRAM || join(results, "syncline")
