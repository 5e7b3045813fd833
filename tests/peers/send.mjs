// Sends the messages of a file over MLLP with npm's @medplum/hl7; prints code and id of each acknowledgement as JSON.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [packages, port, path, encoding] = process.argv.slice(2);
const load = createRequire(`${packages}/`);
const { Hl7Client } = load('@medplum/hl7');
const { Hl7Message } = load('@medplum/core');

const client = new Hl7Client({ host: '127.0.0.1', port: Number(port), encoding });
for (const text of JSON.parse(readFileSync(path, 'utf8'))) {
  const answer = await client.sendAndWait(Hl7Message.parse(text), { timeoutMs: 20000 });
  const field = (segment, number) => answer.getSegment(segment)?.getField(number)?.toString() ?? '';
  console.log(JSON.stringify({
    code: field('MSA', 1), id: field('MSA', 2), kind: field('MSH', 9), charset: field('MSH', 18),
  }));
}
await client.close();
process.exit(0);
