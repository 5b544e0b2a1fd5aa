/** Starting a stage: the own executable again, with its task as standard input. */
import { close } from "../sys/descriptor.ts";
import { memoryFile } from "../sys/memory-file.ts";
import { ownCommand } from "../sys/own-program.ts";
import { executeProgram } from "../sys/process-calls.ts";
import { builderIds } from "./builder-ids.ts";
import { type ProcessStart, type StartedProcess, startProcess } from "./start-process.ts";
import { encodeStageTask, type StageTask } from "./stage-task.ts";

/** Name of the hidden command. */
export const stageCommand = "__build-stage";

/** For a stage that looks after builders, as the user and in the namespaces that we are in. */
export function helperStart(output: number, channel: number, life: ProcessStart["life"]): StageStart {
  return { output, channel, life, namespaces: 0, ids: builderIds(undefined, "host"), calls: [] };
}

export interface StageProgram {
  /** Instead of the own executable. */
  readonly command?: readonly string[];
  /** `NAME=value` */
  readonly env?: readonly string[];
}

type StageStart = Omit<ProcessStart, "input" | "use">;

/** @throws SystemError; see startProcess */
export function startStage(
  task: StageTask,
  start: StageStart,
  { command = ownCommand(), env = [] }: StageProgram = {},
): StartedProcess {
  const input = memoryFile("silo-stage-task", [encodeStageTask(task)]);
  const [path, ...args] = command;
  const execute = executeProgram(path!, ["silo", ...args, stageCommand], env);
  try {
    return startProcess({ ...start, input, use: "inherited", calls: [...start.calls, execute] });
  } finally {
    close(input);
  }
}
