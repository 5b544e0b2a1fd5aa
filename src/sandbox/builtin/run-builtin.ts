/** Built-in builders: they run in the stage, isolated as any builder is. */
import { writeAll } from "../../sys/descriptor.ts";
import type { BuiltinTask } from "../stage-task.ts";

/** The exit status. */
export async function runBuiltin({ name }: BuiltinTask): Promise<number> {
  writeAll(2, Buffer.from(`error: unsupported builtin builder '${name}'\n`));
  return 1;
}
