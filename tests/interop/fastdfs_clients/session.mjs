/**
 * A session with one of the FastDFS clients from npm, as its users have it: run
 * in a folder where the package is installed, prints one line of JSON with what
 * each step gave. What a step should give is for the test to say.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";

const [name, host, port, group] = process.argv.slice(2);
const { default: Client } = await import(name);
const client = new Client({
  trackers: [{ host, port: Number(port) }],
  timeout: 10_000,
  defaultExt: "txt",
  charset: "utf8",
});
const results = {};

/** One call, with a promise or, for an older client, a callback. */
async function call(method, ...args) {
  if (name !== "fdfs-client") return await client[method](...args);
  return await new Promise((resolve, reject) =>
    client[method](
      ...args,
      (error, value) => error ? reject(error) : resolve(value),
    )
  );
}

async function step(title, work) {
  try {
    results[title] = { value: await work() };
  } catch (error) {
    results[title] = { error: String(error?.message ?? error) };
  }
  return results[title].value;
}

async function download(id, lengthBytes, options = {}) {
  const target = `./download-${crypto.randomUUID()}`;
  await call("download", id, { target, ...options });
  // One of the clients answers before its own stream has written everything.
  for (let tries = 0; tries < 40; tries++) {
    const text = await readFile(target, "latin1").catch(() => "");
    if (text.length >= lengthBytes) return text;
    await pause(25);
  }
  return "";
}

const isOld = name === "fdfs-client";
const large = Buffer.alloc(3_000_000, "kedge");
await writeFile("./note.md", "a small file on disk");

const id = await step(
  "upload",
  () => call("upload", Buffer.from("hello FastDFS\n"), { ext: "txt" }),
);
await step("uploadPath", () => call("upload", "./note.md"));
await step(
  "uploadGroup",
  () => call("upload", Buffer.from("grouped"), { group, ext: "bin" }),
);
const largeId = await step(
  "uploadLarge",
  () => call("upload", large, { ext: "bin" }),
);
await step("download", () => download(id, 14));
await step("range", () => download(id, 4, { offset: 6, bytes: 4 }));
await step("downloadLarge", async () => {
  const text = await download(largeId, large.length);
  return text === large.toString() ? text.length : "other bytes";
});
await step("setMeta", () => call("setMetaData", id, { a: "1", b: "2" }, "O"));
await step("getMeta", () => call("getMetaData", id));
await step("mergeMeta", () => call("setMetaData", id, { b: "3" }, "M"));
await step("getMerged", () => call("getMetaData", id));
await step("info", () => call("getFileInfo", id));

if (!isOld) {
  const put = (method, text, more) =>
    call("upload", Buffer.from(text), { method, ext: "txt", ...more });
  const fileId = await step("appender", () => put("uploadAppender", "one "));
  // These clients ask for any storage, not for the one that has the file.
  await step("append1", () => put("append", "two ", { fileId }));
  await step("append2", () => put("append", "three", { fileId }));
  await step("modify", () => put("modify", "ONE", { fileId, offset: 0 }));
  await step("downloadAppender", () => download(fileId, 13));
  await step("listGroups", () => call("listGroups"));
  await step("listStorages", () => call("listStorages", group));
}

await step("delete", () => call("del", id));
await step("downloadDeleted", () => download(id, 14));
await step("deleteAgain", () => call("del", id));

process.stdout.write(`${JSON.stringify(results)}\n`);
process.exit(0);
