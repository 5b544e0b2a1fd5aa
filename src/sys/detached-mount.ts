/** File systems that are mounted nowhere yet: fsopen(2), fsconfig(2), fsmount(2); Linux 5.2. */
import { close } from "./descriptor.ts";
import { check, tryCall } from "./syscall.ts";

const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;

/**
 * A new file system in memory, whose users are those of our user namespace, wherever it is mounted. The caller closes
 * the descriptor of the mount; unless it was attached, that is its end.
 * @throws SystemError
 */
export function makeDetachedTmpfs(options: Readonly<Record<string, string>>): number {
  const action = () => "making a tmpfs";
  const text = (bytes: string) => Buffer.from(`${bytes}\0`, "latin1");
  const context = check(tryCall("fsopen", text("tmpfs"), FSOPEN_CLOEXEC), action);
  try {
    for (const [name, value] of Object.entries(options)) {
      check(tryCall("fsconfig", context, FSCONFIG_SET_STRING, text(name), text(value)), action);
    }
    check(tryCall("fsconfig", context, FSCONFIG_CMD_CREATE), action);
    return check(tryCall("fsmount", context, FSMOUNT_CLOEXEC, 0), action);
  } finally {
    close(context);
  }
}
