/** `builtin:unpack-channel`: the one directory of an archive, under the channel's name. */
import { unpackTree } from "../../store/tree/unpack-tree.ts";
import { readDirectory } from "../../sys/directory.ts";
import { rename } from "../../sys/names.ts";
import { type Attributes, BuiltinFailure, requireAttribute } from "./attributes.ts";

/** @throws BuiltinFailure, and what unpackTree throws */
export async function unpackChannel(attributes: Attributes): Promise<void> {
  const out = requireAttribute(attributes, "out");
  const channelName = requireAttribute(attributes, "channelName");
  const src = requireAttribute(attributes, "src");
  if (channelName === "" || channelName.includes("/") || /^\.\.?$/.test(channelName)) {
    throw new BuiltinFailure(`channelName is not allowed to contain filesystem separators, got '${channelName}'`);
  }
  await unpackTree(src, out, "keep");
  const [only, ...others] = readDirectory(out);
  if (only === undefined || others.length > 0) {
    throw new BuiltinFailure(`channel tarball '${src}' contains ${only === undefined ? "no" : "more than one"} file`);
  }
  rename(`${out}/${only.name}`, `${out}/${channelName}`);
}
