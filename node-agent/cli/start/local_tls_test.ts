import assert from "node:assert/strict";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import { hasCommand } from "./testdata/has_command.ts";
import { makeLocalTls } from "./local_tls.ts";
import { ipBytes } from "./x509.ts";

const OPENSSL = await hasCommand("openssl");
if (!OPENSSL) {
  await Deno.stderr.write(
    new TextEncoder().encode("openssl is missing: its checks are skipped\n"),
  );
}

async function withFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-tls-" });
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function listening(server: Server, hostname: string): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, hostname, () => {
      const address = server.address();
      resolve(typeof address === "object" ? address?.port ?? 0 : 0);
    })
  );
}

Deno.test("makeLocalTls() makes certificates that Deno's client accepts for these names only", () =>
  withFolder(async (dir) => {
    const tls = await makeLocalTls(dir, ["127.0.0.1"]);
    assert(tls.caFile !== undefined);
    const server = createServer({
      cert: await Deno.readTextFile(tls.certFile),
      key: await Deno.readTextFile(tls.keyFile),
    }, (_request, response) => response.end("hello"));
    const port = await listening(server, "127.0.0.1");
    const ca = await Deno.readTextFile(tls.caFile);
    using trusting = Deno.createHttpClient({ caCerts: [ca] });
    try {
      for (const host of ["127.0.0.1", "localhost"]) {
        const answer = await fetch(`https://${host}:${port}/`, {
          client: trusting,
        });
        assert.equal(await answer.text(), "hello");
      }
      await assert.rejects(fetch(`https://127.0.0.1:${port}/`), "no trust");
      const second = createServer({
        cert: await Deno.readTextFile(tls.certFile),
        key: await Deno.readTextFile(tls.keyFile),
      }, (_request, response) => response.end("hello"));
      const otherPort = await listening(second, "127.0.0.2");
      await assert.rejects(
        fetch(`https://127.0.0.2:${otherPort}/`, { client: trusting }),
        "an address that is not in the certificate",
      );
      second.close();
    } finally {
      server.close();
    }
  }));

Deno.test("makeLocalTls() goes on with what is there, and renews for other names", () =>
  withFolder(async (dir) => {
    const first = await makeLocalTls(dir, ["127.0.0.1"]);
    const ca = await Deno.readTextFile(join(dir, "ca.pem"));
    const cert = await Deno.readTextFile(first.certFile);
    await makeLocalTls(dir, ["127.0.0.1"]);
    assert.equal(await Deno.readTextFile(first.certFile), cert);
    await makeLocalTls(dir, ["10.1.2.3"]);
    assert.notEqual(await Deno.readTextFile(first.certFile), cert);
    assert.equal(await Deno.readTextFile(join(dir, "ca.pem")), ca);
  }));

Deno.test("makeLocalTls() keeps private keys private", () =>
  withFolder(async (dir) => {
    await makeLocalTls(dir, []);
    for (const name of ["ca.key", "server.key"]) {
      const { mode } = await Deno.stat(join(dir, name));
      assert.equal((mode ?? 0) & 0o777, 0o600, name);
    }
  }));

Deno.test({
  name: "makeLocalTls() makes certificates that openssl verifies",
  ignore: !OPENSSL,
  fn: () =>
    withFolder(async (dir) => {
      const tls = await makeLocalTls(dir, ["kedge.example", "10.1.2.3"]);
      const run = async (...args: string[]) => {
        const { code, stdout, stderr } = await new Deno.Command("openssl", {
          args,
        }).output();
        const text = new TextDecoder();
        assert.equal(code, 0, text.decode(stderr));
        return text.decode(stdout);
      };
      const ca = tls.caFile ?? "";
      await run("verify", "-x509_strict", "-CAfile", ca, tls.certFile);
      await run(
        "verify",
        "-CAfile",
        ca,
        "-verify_hostname",
        "kedge.example",
        tls.certFile,
      );
      await run(
        "verify",
        "-CAfile",
        ca,
        "-verify_ip",
        "10.1.2.3",
        tls.certFile,
      );
      const text = await run("x509", "-in", tls.certFile, "-noout", "-text");
      assert.match(text, /CA:FALSE/);
      assert.match(text, /TLS Web Server Authentication/);
      assert.match(text, /IP Address:0:0:0:0:0:0:0:1/);
      const authority = await run("x509", "-in", ca, "-noout", "-text");
      assert.match(authority, /CA:TRUE, pathlen:0/);
      assert.match(authority, /Certificate Sign, CRL Sign/);
    }),
});

Deno.test("ipBytes() reads IPv4 and IPv6", () => {
  assert.equal(ipBytes("10.0.0.1")?.toHex(), "0a000001");
  assert.equal(ipBytes("::1")?.toHex(), "00".repeat(15) + "01");
  assert.equal(
    ipBytes("fe80::1:2")?.toHex(),
    "fe800000000000000000000000010002",
  );
  assert.equal(
    ipBytes("1:2:3:4:5:6:7:8")?.toHex(),
    "00010002000300040005000600070008",
  );
  for (const text of ["10.0.0.256", "localhost", "", "1:2"]) {
    assert.equal(ipBytes(text), undefined, text);
  }
});
