/**
 * A network with a delay: forwards connections to a port of this machine, each byte a while later. Where the kernel has no netem this is what there is.
 * Run as `slow-network.ts PORT MILLISECONDS`; prints the port that it listens on.
 */
import { connect, createServer, type Socket } from "node:net";

const [port, delayMs] = process.argv.slice(2).map(Number);

function forward(from: Socket, to: Socket): void {
  from.on("data", (chunk) => setTimeout(() => to.write(chunk), delayMs));
  from.on("end", () => setTimeout(() => to.end(), delayMs));
  from.on("error", () => to.destroy());
  from.on("close", () => setTimeout(() => to.destroy(), delayMs));
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ host: "127.0.0.1", port: port!, noDelay: true, allowHalfOpen: true });
  forward(near, far);
  forward(far, near);
});
server.listen(0, "127.0.0.1", () => {
  const { port: own } = server.address() as { port: number };
  process.stdout.write(`${own}\n`);
});
