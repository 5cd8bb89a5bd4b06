import { Counter, create, Float, Scalar, splice, type Operation } from "../src/index.ts"
import { freshId } from "./workspace.ts"

/** What an empty workspace is filled with when somebody asks for it. */
export function example(me: string): Operation[] {
  const task = (title: string, state: string, priority: number, owner = ""): Operation =>
    create("todos", freshId(), { title, state: new Scalar(state), priority, owner: new Scalar(owner) })
  const item = (name: string, count: number, price: number, stage: string, ...tags: string[]): Operation =>
    create("inventory", freshId(), { name, count: new Counter(count), price: new Float(price), stage: new Scalar(stage), tags: tags.map(t => new Scalar(t)) })
  return [
    task("Book the ferry", "todo", 1, me), task("Ask Nora about the cabin key", "todo", 2), task("Sort last year’s maps", "todo", 3),
    task("Plan the second day’s walk", "doing", 2, me), task("Mend the tent", "done", 2, me),
    item("Tent", 2, 180, "stored", "shelter"), item("Gas cartridge", 6, 7.5, "ordered", "kitchen"), item("First-aid kit", 1, 24.9, "planned", "safety"),
    splice("notes", "shared", "body", 0, 0, "Island weekend\n\nFerry at 08:20 from the north pier. Whoever arrives first makes coffee.\n\nStill open:\n- who brings the small stove\n- rain plan for Sunday\n"),
  ]
}
