// A Model Context Protocol server made with the published SDK, over streamable HTTP on a free port. The first line on standard output is its
// address; then each call of a tool is one line of JSON: the tool, its arguments, and the _meta that came with it.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';

const token = process.argv[2] ?? '';
const sessions = new Map();
const print = (record) => process.stdout.write(JSON.stringify(record) + '\n');
const text = (words) => ({ content: [{ type: 'text', text: words }] });

function build() {
  const server = new McpServer({ name: 'oracle', version: '1.0.0' });
  const tool = (name, inputSchema, annotations, answer) => server.registerTool(
    name, { description: `The tool ${name}.`, inputSchema, annotations }, async (given, extra) => {
      print({ tool: name, arguments: given, meta: extra._meta ?? null });
      return answer(given);
    });
  tool('lookup', { query: z.string() }, { readOnlyHint: true }, ({ query }) => text(`Runbook for ${query}: check the connection string.`));
  tool('broken', { query: z.string() }, { readOnlyHint: true }, () => ({ ...text('the index is corrupt'), isError: true }));
  tool('huge', { query: z.string() }, { readOnlyHint: true }, () => text('x'.repeat(8 * 1024 * 1024)));
  tool('slow', { query: z.string() }, { readOnlyHint: true }, () => new Promise(() => {}));
  tool('wipe', { query: z.string() }, {}, () => text('wiped'));
  tool(
    'sequentialthinking',
    { thought: z.string(), thoughtNumber: z.number().int().min(1), totalThoughts: z.number().int().min(1), nextThoughtNeeded: z.boolean() },
    {}, (given) => text(JSON.stringify({ thoughtNumber: given.thoughtNumber, totalThoughts: given.totalThoughts })));
  return server;
}

const http = createServer(async (request, response) => {
  if (token && request.headers.authorization !== `Bearer ${token}`) {
    response.writeHead(401).end();
    return;
  }

  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }

  const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString('utf8')) : undefined;
  let transport = sessions.get(request.headers['mcp-session-id']);
  if (!transport && isInitializeRequest(body)) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => sessions.set(id, transport),
      onsessionclosed: (id) => {
        sessions.delete(id);
        print({ closed: id });
      },
    });
    await build().connect(transport);
  }

  if (!transport) {
    response.writeHead(400, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32000, message: 'Bad Request: no valid session' } }));
    return;
  }

  await transport.handleRequest(request, response, body);
});
http.listen(0, '127.0.0.1', () => print({ url: `http://127.0.0.1:${http.address().port}/mcp` }));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
