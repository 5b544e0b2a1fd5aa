/**
 * The stage: a process of silo that builds by itself, or looks after builders. It is started with its task on standard
 * input, in the namespaces of the builder that it is to be, and isolates itself before it does what it is told.
 */
import { close, O_RDWR, open, read, writeAll } from "../sys/descriptor.ts";
import { performCalls } from "../sys/planned-calls.ts";
import { duplicate } from "../sys/process-calls.ts";
import { fstat } from "../sys/stat.ts";
import { encodeFailure, stageIndices } from "./channel.ts";
import { type BuiltinTask, decodeStageTask, type StageTask } from "./stage-task.ts";
import { channelFd } from "./start-process.ts";

/** Reads the task and does it; the exit status. @throws SystemError */
export async function runStage(): Promise<number> {
  const task = readTask();
  switch (task.kind) {
    case "builtin":
      return buildHere(task);
    case "watchdog":
      return (await import("./watchdog.ts")).watch();
  }
}

function readTask(): StageTask {
  const bytes = Buffer.alloc(fstat(0).size);
  for (let length = 0; length < bytes.length; ) length += read(0, bytes.subarray(length));
  return decodeStageTask(bytes);
}

async function buildHere(task: BuiltinTask): Promise<number> {
  // Loaded while its source can still be found.
  const { runBuiltin } = await import("./builtin/run-builtin.ts");
  const nothing = open("/dev/null", O_RDWR);
  const failure = performCalls([duplicate(nothing, 0, "inherited"), ...task.calls]);
  close(nothing);
  if (failure !== undefined) {
    writeAll(channelFd, encodeFailure({ ...failure, index: stageIndices + failure.index - 1 }));
    return 1;
  }
  close(channelFd);
  return runBuiltin(task);
}
