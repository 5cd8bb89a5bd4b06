import { test, expect } from "@playwright/test"
import { Lease, term } from "../src/worker/lease.ts"

test("an owner that may have slept says nothing before it has looked whether the store is still its own", async () => {
  let clock = 0, ours = true, lost = 0
  const said: string[] = []
  let looked: () => void = () => {}
  const lease = new Lease(async () => { queueMicrotask(() => looked()); return ours }, () => { lost++ }, () => clock)
  const look = (): Promise<void> => new Promise(resolve => { looked = () => setTimeout(resolve, 0) })
  lease.guard(() => said.push("awake"))
  expect(said).toEqual(["awake"])

  // Long away, and nobody has taken it: said after a look, and in order.
  clock += term + 1
  let seen = look()
  lease.guard(() => said.push("first"))
  lease.guard(() => said.push("second"))
  expect(said).toEqual(["awake"])
  await seen
  expect(said).toEqual(["awake", "first", "second"])
  expect(lease.fresh).toBe(true)

  // A clock that was set back asks for a look, too.
  clock -= 10
  expect(lease.fresh).toBe(false)
  await lease.check()
  expect(lease.fresh).toBe(true)

  // Away, and somebody has taken it: never said.
  clock += term + 1
  ours = false
  seen = look()
  lease.guard(() => said.push("too late"))
  await seen
  clock += 1
  lease.guard(() => said.push("too late"))
  expect(said).toEqual(["awake", "first", "second"])
  expect(lost).toBe(1)
  lease.stop()
})
