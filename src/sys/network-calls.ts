/** What a new UTS or network namespace needs, and what the old one must not let through, as planned calls. */
import { openedDescriptor, type PlannedCall } from "./planned-calls.ts";
import { tryCall } from "./syscall.ts";

export function setNames(host: string, domain: string): PlannedCall[] {
  return [
    { call: "sethostname", args: [host, host.length], action: `setting the host name '${host}'` },
    { call: "setdomainname", args: [domain, domain.length], action: `setting the domain name '${domain}'` },
  ];
}

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const IFF_LOOPBACK = 8;
const IFF_RUNNING = 0x40;

/** Brings `lo` up; the kernel gives it its addresses. See netdevice(7). */
export function bringLoopbackUp(): PlannedCall[] {
  const request = Buffer.alloc(40); // struct ifreq: name[16], flags
  request.write("lo", 0, "latin1");
  request.writeInt16LE(IFF_UP | IFF_LOOPBACK | IFF_RUNNING, 16);
  const action = "bringing the loopback interface up";
  return [
    { call: "socket", args: [AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0], action },
    { call: "ioctl", args: [openedDescriptor, SIOCSIFFLAGS, request], action },
    { call: "close", args: [openedDescriptor], action },
  ];
}

const LANDLOCK_CREATE_RULESET_VERSION = 1;
const LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET = 1;
/** The version of landlock(7) that brought scopes (Linux 6.12). */
const scopesVersion = 6;

/**
 * Keeps the process from abstract Unix sockets of others, which are not files, so that only a network namespace hides
 * them. Nothing on kernels that cannot. The process must have given up new privileges, or be privileged.
 */
export function scopeAbstractSockets(): PlannedCall[] {
  if (tryCall("landlock_create_ruleset", 0, 0, LANDLOCK_CREATE_RULESET_VERSION) < scopesVersion) return [];
  const attributes = Buffer.alloc(24); // struct landlock_ruleset_attr: handled_access_fs, handled_access_net, scoped
  attributes.writeUInt8(LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, 16);
  const action = "closing off abstract sockets";
  return [
    { call: "landlock_create_ruleset", args: [attributes, attributes.length, 0], action },
    { call: "landlock_restrict_self", args: [openedDescriptor, 0], action },
    { call: "close", args: [openedDescriptor], action },
  ];
}
