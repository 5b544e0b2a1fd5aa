/** What a new process says on its channel: records of the index of a call and an errno, 64 bits each; errno 0 says that all is set up. */
import { close, read } from "../sys/descriptor.ts";
import type { CallFailure, PlannedCall } from "../sys/planned-calls.ts";
import { channelFd } from "./start-process.ts";

const recordSize = 16;

/** Indices from here on are of the calls that a stage makes itself. */
export const stageIndices = 1_000_000;

export function encodeFailure({ index, errno }: CallFailure): Uint8Array {
  const record = Buffer.alloc(recordSize);
  record.writeUInt32LE(index, 0);
  record.writeUInt32LE(errno, 8);
  return record;
}

/** Says that the builder is about to begin; fails when nobody is there to hear it. */
export function reportReady(): PlannedCall {
  const record = encodeFailure({ index: 0, errno: 0 });
  return { call: "write", args: [channelFd, record, record.length], action: "finding the process that asked for this" };
}

/** The failure, if there was one, of a process that has ended; closes the channel. @throws SystemError */
export function readFailure(fd: number): CallFailure | undefined {
  try {
    const records = Buffer.alloc(4 * recordSize);
    const size = read(fd, records);
    for (let at = 0; at + recordSize <= size; at += recordSize) {
      const errno = records.readUInt32LE(at + 8);
      if (errno !== 0) return { index: records.readUInt32LE(at), errno };
    }
    return undefined;
  } finally {
    close(fd);
  }
}
