import assert from "node:assert/strict";
import { Problem } from "@kedge/schema";
import { eventually } from "../tests/helpers/eventually.ts";
import { ADMIN_KEY } from "./testing.ts";
import { serveTracker } from "./serve.ts";

const ENV = {
  KEDGE_KV: ":memory:",
  KEDGE_LISTEN: "127.0.0.1:0",
  KEDGE_REQUEST_LOG: "off",
  KEDGE_ADMIN_KEY: ADMIN_KEY,
};

const AUTH = { authorization: `Bearer ${ADMIN_KEY}` };

/** A new certificate for 127.0.0.1, or `undefined` where there is no openssl. */
const certificate = await makeCertificate();
if (certificate === undefined) {
  Deno.stderr.writeSync(
    new TextEncoder().encode("HTTPS tests are skipped: no openssl here\n"),
  );
}

Deno.test("serveTracker() answers over HTTP and stops", async () => {
  const served = await serveTracker(ENV);
  const response = await fetch(`${served.url}/health`);
  assert.deepEqual(await response.json(), { ok: true });
  await served.close();
  await assert.rejects(fetch(`${served.url}/health`));
});

Deno.test("a local caller is let in over a real connection, a page of another site is not", async () => {
  const served = await serveTracker({ ...ENV, KEDGE_ACCESS: "open" });
  const { hostname, port, host } = new URL(served.url);
  const ask = async (...headers: string[]) => {
    const connection = await Deno.connect({ hostname, port: Number(port) });
    const head = ["GET /v1/groups HTTP/1.1", "connection: close", ...headers];
    await connection.write(
      new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`),
    );
    const answer = await new Response(connection.readable).text();
    return answer.split(" ")[1];
  };
  assert.equal(await ask(`host: ${host}`), "200");
  assert.equal(await ask("host: evil.example"), "401");
  assert.equal(await ask(`host: evil.example:${port}`), "401");
  assert.equal(await ask(`host: ${host}`, "host: evil.example"), "400");
  assert.equal(
    await ask(`host: ${host}`, "origin: http://evil.example"),
    "401",
  );
  assert.equal(await ask(`host: ${host}`, "x-forwarded-for: 127.0.0.1"), "401");
  await served.close();
});

Deno.test("open access refuses to listen where others can reach it", async () => {
  const env = { ...ENV, KEDGE_ACCESS: "open", KEDGE_LISTEN: "0.0.0.0:0" };
  await assert.rejects(
    serveTracker(env),
    (error) => error instanceof Problem && /loopback/.test(error.message),
  );
});

Deno.test("every wrong setting is told at once, and no secret with it", async () => {
  const env = {
    ...ENV,
    KEDGE_ADMIN_KEY: "short-secret",
    KEDGE_ACCESS: "x",
    KEDGE_STORE_PATH: "y",
  };
  await assert.rejects(serveTracker(env), (error) => {
    assert(error instanceof Problem);
    for (const name of ["ADMIN_KEY", "ACCESS", "STORE_PATH"]) {
      assert.match(error.message, new RegExp(`KEDGE_${name}: `));
    }
    return !error.message.includes("short-secret");
  });
});

Deno.test("the admin key may come from a file", async () => {
  const file = await Deno.makeTempFile();
  const { KEDGE_ADMIN_KEY: _, ...env } = ENV;
  try {
    await Deno.writeTextFile(file, `${ADMIN_KEY}\n`);
    const served = await serveTracker({ ...env, KEDGE_ADMIN_KEY_FILE: file });
    const response = await fetch(`${served.url}/v1/groups`, { headers: AUTH });
    assert.equal(response.status, 200);
    await response.body?.cancel();
    await served.close();
    await Deno.writeTextFile(file, "short");
    await assert.rejects(
      serveTracker({ ...env, KEDGE_ADMIN_KEY_FILE: file }),
      /at least 32 characters/,
    );
  } finally {
    await Deno.remove(file);
  }
});

const tls = { ignore: certificate === undefined };

Deno.test(
  "HTTPS answers, reads JSON bodies, and refuses as HTTP does",
  tls,
  async () => {
    await overTls(async (url, client) => {
      const made = await fetch(`${url}/v1/groups`, {
        client,
        method: "POST",
        headers: AUTH,
        body: JSON.stringify({ name: "group1" }),
      });
      assert.equal(made.status, 201);
      await made.body?.cancel();
      const list = await fetch(`${url}/v1/groups`, { client, headers: AUTH });
      assert.equal((await list.json()).groups.length, 1);
      const refused = await fetch(`${url}/v1/groups`, { client });
      assert.equal(refused.status, 401);
      assert.equal((await refused.json()).type, "/problems/unauthorized");
      const head = await fetch(`${url}/docs`, { client, method: "HEAD" });
      assert.equal(head.status, 200);
    });
  },
);

Deno.test(
  "HTTPS never asks for a body that it does not read",
  tls,
  async () => {
    await overTls(async (url, _client, ca) => {
      const { port, hostname } = new URL(url);
      const connection = await Deno.connectTls({
        hostname,
        port: Number(port),
        caCerts: [ca],
      });
      await connection.write(
        new TextEncoder().encode(
          "PUT /v1/files/x HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n" +
            "expect: 100-continue\r\n\r\n",
        ),
      );
      const bytes = new Uint8Array(4096);
      const length = await connection.read(bytes) ?? 0;
      const head = new TextDecoder().decode(bytes.subarray(0, length));
      assert.match(head, /^HTTP\/1.1 401 /);
      assert.match(head, /connection: close/i);
      connection.close();
    });
  },
);

Deno.test(
  "HTTPS refuses a request whose Host or path cannot be a URL",
  tls,
  async () => {
    await overTls(async (url, _client, ca) => {
      const { port, hostname } = new URL(url);
      for (
        const head of [
          "GET / HTTP/1.1\r\nhost: a b",
          "OPTIONS * HTTP/1.1\r\nhost: h",
        ]
      ) {
        const connection = await Deno.connectTls({
          hostname,
          port: Number(port),
          caCerts: [ca],
        });
        const text = `${head}\r\nconnection: close\r\n\r\n`;
        await connection.write(new TextEncoder().encode(text));
        const answer = await new Response(connection.readable).text();
        assert.match(answer, /^HTTP\/1.1 400 /);
      }
    });
  },
);

async function overTls(
  test: (url: string, client: Deno.HttpClient, ca: string) => Promise<void>,
): Promise<void> {
  assert(certificate);
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/cert.pem`, certificate.cert);
  await Deno.writeTextFile(`${folder}/key.pem`, certificate.key);
  const served = await serveTracker({
    ...ENV,
    KEDGE_TLS_CERT: `${folder}/cert.pem`,
    KEDGE_TLS_KEY: `${folder}/key.pem`,
  });
  const client = Deno.createHttpClient({ caCerts: [certificate.cert] });
  try {
    assert.match(served.url, /^https:/);
    await test(served.url, client, certificate.cert);
  } finally {
    client.close();
    await served.close();
    await Deno.remove(folder, { recursive: true });
  }
}

async function makeCertificate() {
  const folder = await Deno.makeTempDir();
  try {
    const { success } = await new Deno.Command("openssl", {
      args: [
        ...["req", "-x509", "-newkey", "ec", "-nodes", "-days", "1"],
        ...["-pkeyopt", "ec_paramgen_curve:prime256v1"],
        ...["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"],
        ...["-addext", "basicConstraints=critical,CA:FALSE"],
        ...["-keyout", `${folder}/key.pem`, "-out", `${folder}/cert.pem`],
      ],
      stdout: "null",
      stderr: "null",
    }).output();
    if (!success) return undefined;
    return {
      cert: await Deno.readTextFile(`${folder}/cert.pem`),
      key: await Deno.readTextFile(`${folder}/key.pem`),
    };
  } catch {
    return undefined;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "a plain tracker outlives more connections than descriptors",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const entry = new URL("serve.ts", import.meta.url).pathname;
    const child = new Deno.Command("sh", {
      args: [
        ...["-c", 'ulimit -n 120 && exec "$0" "$@"'],
        ...[Deno.execPath(), "run", "-A", "--quiet", entry],
      ],
      env: ENV,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const idle: Deno.Conn[] = [];
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    try {
      const { url } = JSON.parse((await lines.read()).value ?? "");
      const { hostname, port } = new URL(url);
      for (let count = 0; count < 200; count++) {
        const conn = await Deno.connect({ hostname, port: Number(port) })
          .catch(() => undefined);
        if (conn !== undefined) idle.push(conn);
      }
      await eventually(async () => {
        const signal = AbortSignal.timeout(2000);
        return (await fetch(`${url}/health`, { client, signal })).text();
      }, { what: "an answer although nobody let go" });
    } finally {
      for (const conn of idle) conn.close();
      client.close();
      await lines.cancel();
      child.kill("SIGKILL");
      await child.status;
    }
  },
});
