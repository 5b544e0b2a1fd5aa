/** The same build without a sandbox, where the kernel allows none and `sandbox-fallback` says to go on. */
import type { ByteString } from "../formats/byte-string.ts";
import type { BuilderSpec } from "../store/builder-runner.ts";

/** Or why it may not or cannot be built so. */
export function withoutSandbox(spec: BuilderSpec): BuilderSpec | { readonly refusal: string } {
  const { isolation, buildDir } = spec;
  if (isolation.kind === "none") return spec;
  if (isolation.realStoreDir !== isolation.storeDir) {
    const where = `shows builders the store in '${isolation.realStoreDir}' as '${isolation.storeDir}'`;
    return { refusal: `only a sandbox ${where}; 'silo doctor' says what to change` };
  }
  if (isolation.outputDestination !== undefined) {
    return { refusal: "to build again what is there already without one, set 'sandbox = false'" };
  }
  if (isolation.ifImpossible === "fail") return { refusal: "set 'sandbox-fallback = true' to build without one" };
  const inside = isolation.buildDirInside;
  const outside = (value: ByteString) => {
    const below = value === inside || value.startsWith(`${inside}/`);
    return below ? ((buildDir + value.slice(inside.length)) as ByteString) : value;
  };
  const env = new Map([...spec.env].map(([name, value]) => [name, outside(value)] as const));
  return { ...spec, env, isolation: { kind: "none" } };
}
