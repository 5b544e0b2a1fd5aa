/** The same build without a sandbox, where the kernel allows none and `sandbox-fallback` says to go on. */
import type { ByteString } from "../formats/byte-string.ts";
import type { BuilderSpec } from "../store/builder-runner.ts";

/** Undefined when it cannot be built so: its store is physically elsewhere, where only a sandbox shows it. */
export function withoutSandbox(spec: BuilderSpec): BuilderSpec | undefined {
  const { isolation, buildDir } = spec;
  if (isolation.kind === "none") return spec;
  if (isolation.realStoreDir !== isolation.storeDir || isolation.outputDestination !== undefined) return undefined;
  const inside = isolation.buildDirInside;
  const outside = (value: ByteString) => {
    const below = value === inside || value.startsWith(`${inside}/`);
    return below ? ((buildDir + value.slice(inside.length)) as ByteString) : value;
  };
  const env = new Map([...spec.env].map(([name, value]) => [name, outside(value)] as const));
  return { ...spec, env, isolation: { kind: "none" } };
}
