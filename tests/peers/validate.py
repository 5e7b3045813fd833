"""A third validator of FHIR R4: fhir.resources. validate.py FOLDER; each *.json of it is a Bundle.
Says one line of JSON for each error."""
import json
import sys
from pathlib import Path

from fhir.resources.R4B import get_fhir_model_class

count = 0
for path in sorted(Path(sys.argv[1]).glob("*.json")):
    bundle = json.loads(path.read_text(encoding="utf-8"))
    for resource in [bundle, *(entry["resource"] for entry in bundle.get("entry", []))]:
        count += 1
        kind = resource["resourceType"]
        try:
            get_fhir_model_class(kind).model_validate(resource)
        except Exception as error:
            print(json.dumps({"file": path.name, "judge": "fhir.resources", "type": kind, "error": str(error)}))
print(json.dumps({"looked": count}))
