import type { ByteString } from "../byte-string.ts";

/**
 * An absolute path without empty, `.` and `..` components and without a slash at the end, by its text alone: links are
 * not looked at. Undefined for a relative path.
 */
export function canonicalPath(path: ByteString): ByteString | undefined {
  if (!path.startsWith("/")) return undefined;
  if (!path.includes("//") && !path.includes("/.") && !path.endsWith("/")) return path;
  const kept: string[] = [];
  for (const component of path.split("/")) {
    if (component === "" || component === ".") continue;
    if (component === "..") kept.pop();
    else kept.push(component);
  }
  return `/${kept.join("/")}` as ByteString;
}
