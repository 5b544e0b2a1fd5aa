/**
 * The few instructions that make a list of system calls in a process that cannot run JavaScript: a JavaScript runtime
 * does not survive fork(2), as its other threads are missing in the child. They use no memory but the list and a stack.
 *
 * Every call is an entry of nine 64-bit words: number, six arguments, an errno that is as good as success, and the
 * entry's index. After a failure the index and the errno are written to descriptor 3 and the process exits with 1. The
 * list does not end: its last call is execve(2) or exit_group(2).
 */
import { close, writeAll } from "./descriptor.ts";
import { check, pathArgument, tryCall } from "./syscall.ts";

/** Bytes of an entry of the list. */
export const entrySize = 72;

/** As the GNU assembler writes it; the list's address is the first argument, as of any C function. */
const code: Readonly<Partial<Record<NodeJS.Architecture, string>>> = {
  x64: `
    4889fb        //         mov  rbx, rdi
    488b03        // next:   mov  rax, [rbx]
    488b7b08      //         mov  rdi, [rbx+8]
    488b7310      //         mov  rsi, [rbx+16]
    488b5318      //         mov  rdx, [rbx+24]
    4c8b5320      //         mov  r10, [rbx+32]
    4c8b4328      //         mov  r8, [rbx+40]
    4c8b4b30      //         mov  r9, [rbx+48]
    0f05          //         syscall
    483d01f0ffff  //         cmp  rax, -4095
    7306          //         jae  failed
    4883c348      // done:   add  rbx, 72
    ebd5          //         jmp  next
    48f7d8        // failed: neg  rax
    483b4338      //         cmp  rax, [rbx+56]
    74f1          //         je   done
    50            //         push rax
    ff7340        //         push qword [rbx+64]
    b801000000    //         mov  eax, 1    (write)
    bf03000000    //         mov  edi, 3
    4889e6        //         mov  rsi, rsp
    ba10000000    //         mov  edx, 16
    0f05          //         syscall
    b8e7000000    //         mov  eax, 231  (exit_group)
    bf01000000    //         mov  edi, 1
    0f05          //         syscall
  `,
  arm64: `
    f30300aa      //         mov  x19, x0
    680240f9      // next:   ldr  x8, [x19]
    608640a9      //         ldp  x0, x1, [x19, #8]
    628e41a9      //         ldp  x2, x3, [x19, #24]
    649642a9      //         ldp  x4, x5, [x19, #40]
    010000d4      //         svc  #0
    1ffc3fb1      //         cmn  x0, #4095
    62000054      //         b.hs failed
    73220191      // done:   add  x19, x19, #72
    f8ffff17      //         b    next
    e10300cb      // failed: neg  x1, x0
    621e40f9      //         ldr  x2, [x19, #56]
    3f0002eb      //         cmp  x1, x2
    60ffff54      //         b.eq done
    602240f9      //         ldr  x0, [x19, #64]
    e007bfa9      //         stp  x0, x1, [sp, #-16]!
    080880d2      //         mov  x8, #64   (write)
    600080d2      //         mov  x0, #3
    e1030091      //         mov  x1, sp
    020280d2      //         mov  x2, #16
    010000d4      //         svc  #0
    c80b80d2      //         mov  x8, #94   (exit_group)
    200080d2      //         mov  x0, #1
    010000d4      //         svc  #0
  `,
};

const MFD_CLOEXEC = 1;
const MAP_PRIVATE = 2;
const PROT_READ = 1;
const PROT_EXEC = 4;
/** At least a page on every machine; only the file's part of it may be touched. */
const mappedSize = 4096;

let address: number | undefined;

/** The instructions' address, for clone(2). @throws SystemError where the kernel does not let them be made */
export function callRunner(): number {
  address ??= mapCode();
  return address;
}

function mapCode(): number {
  const text = code[process.arch];
  if (text === undefined) throw new Error(`no instructions for the machine type ${process.arch}`);
  const bytes = Buffer.from(text.replace(/\/\/.*$/gm, "").replace(/\s/g, ""), "hex");
  // Mapped from a file, the memory is never writable, and the kernel takes care of instruction caches.
  const fd = check(tryCall("memfd_create", pathArgument("silo-calls"), MFD_CLOEXEC), () => "making a file in memory");
  try {
    writeAll(fd, bytes);
    const mapped = tryCall("mmap", 0, mappedSize, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    return check(mapped, () => "mapping instructions");
  } finally {
    close(fd);
  }
}
