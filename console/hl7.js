// HL7 v2 and JSON as trees for people: each value with its path and, where it is known, its name.

import french from "./hl7_fr.js";
import { language } from "./words.js";

/** The names of fields as HL7 v2.5 has them, from the first on. */
const FIELDS = {
  MSH: "Field Separator|Encoding Characters|Sending Application|Sending Facility|Receiving Application|Receiving Facility|Date/Time Of Message|Security|Message Type|Message Control ID|Processing ID|Version ID|Sequence Number|Continuation Pointer|Accept Acknowledgment Type|Application Acknowledgment Type|Country Code|Character Set|Principal Language Of Message|Alternate Character Set Handling Scheme|Message Profile Identifier",
  MSA: "Acknowledgment Code|Message Control ID|Text Message|Expected Sequence Number|Delayed Acknowledgment Type|Error Condition",
  ERR: "Error Code and Location|Error Location|HL7 Error Code|Severity|Application Error Code|Application Error Parameter|Diagnostic Information|User Message",
  EVN: "Event Type Code|Recorded Date/Time|Date/Time Planned Event|Event Reason Code|Operator ID|Event Occurred|Event Facility",
  PID: "Set ID|Patient ID|Patient Identifier List|Alternate Patient ID|Patient Name|Mother's Maiden Name|Date/Time of Birth|Administrative Sex|Patient Alias|Race|Patient Address|County Code|Phone Number - Home|Phone Number - Business|Primary Language|Marital Status|Religion|Patient Account Number|SSN Number|Driver's License Number|Mother's Identifier|Ethnic Group|Birth Place|Multiple Birth Indicator|Birth Order|Citizenship|Veterans Military Status|Nationality|Patient Death Date and Time|Patient Death Indicator|Identity Unknown Indicator|Identity Reliability Code|Last Update Date/Time|Last Update Facility|Species Code|Breed Code|Strain|Production Class Code|Tribal Citizenship",
  PD1: "Living Dependency|Living Arrangement|Patient Primary Facility|Patient Primary Care Provider|Student Indicator|Handicap|Living Will Code|Organ Donor Code|Separate Bill|Duplicate Patient|Publicity Code|Protection Indicator",
  NK1: "Set ID|Name|Relationship|Address|Phone Number|Business Phone Number|Contact Role|Start Date|End Date|Job Title|Job Code/Class|Employee Number|Organization Name|Marital Status|Administrative Sex|Date/Time of Birth",
  PV1: "Set ID|Patient Class|Assigned Patient Location|Admission Type|Preadmit Number|Prior Patient Location|Attending Doctor|Referring Doctor|Consulting Doctor|Hospital Service|Temporary Location|Preadmit Test Indicator|Re-admission Indicator|Admit Source|Ambulatory Status|VIP Indicator|Admitting Doctor|Patient Type|Visit Number|Financial Class|Charge Price Indicator|Courtesy Code|Credit Rating|Contract Code|Contract Effective Date|Contract Amount|Contract Period|Interest Code|Transfer to Bad Debt Code|Transfer to Bad Debt Date|Bad Debt Agency Code|Bad Debt Transfer Amount|Bad Debt Recovery Amount|Delete Account Indicator|Delete Account Date|Discharge Disposition|Discharged to Location|Diet Type|Servicing Facility|Bed Status|Account Status|Pending Location|Prior Temporary Location|Admit Date/Time|Discharge Date/Time|Current Patient Balance|Total Charges|Total Adjustments|Total Payments|Alternate Visit ID|Visit Indicator|Other Healthcare Provider",
  PV2: "Prior Pending Location|Accommodation Code|Admit Reason|Transfer Reason|Patient Valuables|Patient Valuables Location|Visit User Code|Expected Admit Date/Time|Expected Discharge Date/Time|Estimated Length of Inpatient Stay",
  ZBE: "Movement ID|Start of Movement|End of Movement|Action on the Movement|Historical Movement|Original Trigger Event|Ward of Medical Responsibility|Ward of Care Responsibility|Nature of the Movement",
  MRG: "Prior Patient Identifier List|Prior Alternate Patient ID|Prior Patient Account Number|Prior Patient ID|Prior Visit Number|Prior Alternate Visit ID|Prior Patient Name",
  AL1: "Set ID|Allergen Type Code|Allergen Code|Allergy Severity Code|Allergy Reaction Code|Identification Date",
  DG1: "Set ID|Diagnosis Coding Method|Diagnosis Code|Diagnosis Description|Diagnosis Date/Time|Diagnosis Type",
  IN1: "Set ID|Insurance Plan ID|Insurance Company ID|Insurance Company Name|Insurance Company Address|Insurance Co Contact Person|Insurance Co Phone Number|Group Number|Group Name",
  ORC: "Order Control|Placer Order Number|Filler Order Number|Placer Group Number|Order Status|Response Flag|Quantity/Timing|Parent|Date/Time of Transaction|Entered By|Verified By|Ordering Provider|Enterer's Location|Call Back Phone Number|Order Effective Date/Time|Order Control Code Reason|Entering Organization|Entering Device|Action By|Advanced Beneficiary Notice Code|Ordering Facility Name|Ordering Facility Address|Ordering Facility Phone Number|Ordering Provider Address|Order Status Modifier",
  OBR: "Set ID|Placer Order Number|Filler Order Number|Universal Service Identifier|Priority|Requested Date/Time|Observation Date/Time|Observation End Date/Time|Collection Volume|Collector Identifier|Specimen Action Code|Danger Code|Relevant Clinical Information|Specimen Received Date/Time|Specimen Source|Ordering Provider|Order Callback Phone Number|Placer Field 1|Placer Field 2|Filler Field 1|Filler Field 2|Results Rpt/Status Chng Date/Time|Charge to Practice|Diagnostic Serv Sect ID|Result Status|Parent Result|Quantity/Timing|Result Copies To|Parent|Transportation Mode|Reason for Study|Principal Result Interpreter|Assistant Result Interpreter|Technician|Transcriptionist|Scheduled Date/Time",
  OBX: "Set ID|Value Type|Observation Identifier|Observation Sub-ID|Observation Value|Units|References Range|Abnormal Flags|Probability|Nature of Abnormal Test|Observation Result Status|Effective Date of Reference Range|User Defined Access Checks|Date/Time of the Observation|Producer's ID|Responsible Observer|Observation Method|Equipment Instance Identifier|Date/Time of the Analysis",
  SPM: "Set ID|Specimen ID|Specimen Parent IDs|Specimen Type|Specimen Type Modifier|Specimen Additives|Specimen Collection Method|Specimen Source Site|Specimen Source Site Modifier|Specimen Collection Site|Specimen Role|Specimen Collection Amount|Grouped Specimen Count|Specimen Description|Specimen Handling Code|Specimen Risk Code|Specimen Collection Date/Time|Specimen Received Date/Time",
  NTE: "Set ID|Source of Comment|Comment|Comment Type",
  TQ1: "Set ID|Quantity|Repeat Pattern|Explicit Time|Relative Time and Units|Service Duration|Start Date/Time|End Date/Time|Priority",
  SCH: "Placer Appointment ID|Filler Appointment ID|Occurrence Number|Placer Group Number|Schedule ID|Event Reason|Appointment Reason|Appointment Type|Appointment Duration|Appointment Duration Units|Appointment Timing Quantity",
  TXA: "Set ID|Document Type|Document Content Presentation|Activity Date/Time|Primary Activity Provider Code/Name|Origination Date/Time|Transcription Date/Time|Edit Date/Time|Originator Code/Name|Assigned Document Authenticator|Transcriptionist Code/Name|Unique Document Number|Parent Document Number|Placer Order Number|Filler Order Number|Unique Document File Name|Document Completion Status",
};
const listed = (fields) => Object.fromEntries(Object.entries(fields).map(([segment, names]) => [segment, names.split("|")]));
const NAMES = listed(FIELDS);
const FRENCH = listed(french);

/** What a field is called by whoever reads; the segments of France have no other name than theirs. */
function nameOf(segment, at) {
  const inFrench = language === "fr" || !NAMES[segment] ? FRENCH[segment]?.[at] : "";
  return inFrench || NAMES[segment]?.[at] || "";
}

/** Whether a text is an HL7 message, or begins like one. */
export const isHl7 = (text) => /^\s*MSH[^\w\s]/.test(text);

/** The segments of a message: `{ name, place, fields: [{ path, name, value }] }`, empty fields left out. */
export function segments(text) {
  const seen = {};
  return text.trim().split(/\r\n|\r|\n/).filter(Boolean).map((line) => {
    const separator = text.trim()[3];
    const [name, ...values] = line.split(separator);
    seen[name] = (seen[name] ?? 0) + 1;
    const place = seen[name] > 1 ? `${name}[${seen[name]}]` : name;
    // The separator is a field of MSH itself.
    if (name === "MSH") values.unshift(separator);
    const fields = values.map((value, at) => ({ path: `${place}-${at + 1}`, name: nameOf(name, at), value, parts: partsOf(name, at, value, place) })).filter(({ value }) => value !== "");
    return { name, place, fields };
  });
}

/** Repeats and components of a field, where it has more than one. */
function partsOf(segment, at, value, place) {
  if (segment === "MSH" && at < 2) return [];
  const repeats = value.split("~");
  if (repeats.length === 1 && !value.includes("^")) return [];
  return repeats.flatMap((repeat, number) => {
    const path = repeats.length > 1 ? `${place}-${at + 1}[${number + 1}]` : `${place}-${at + 1}`;
    const components = repeat.split("^");
    if (components.length === 1) return [{ path, value: repeat }];
    return components.map((component, index) => ({ path: `${path}.${index + 1}`, value: component }));
  }).filter((part) => part.value !== "");
}

/** The leaves of JSON: `{ path, value }`. `null` where it is none. */
export function leaves(text) {
  let whole;
  try {
    whole = JSON.parse(text);
  } catch {
    return null;
  }
  if (whole === null || typeof whole !== "object") return null;
  const found = [];
  const walk = (value, path) => {
    if (Array.isArray(value)) value.forEach((one, at) => walk(one, `${path}[${at}]`));
    else if (value !== null && typeof value === "object") Object.entries(value).forEach(([name, one]) => walk(one, path ? `${path}.${name}` : name));
    else found.push({ path, value: String(value) });
  };
  walk(whole, typeof whole.resourceType === "string" ? whole.resourceType : "");
  return found;
}

/** Sixteen bytes a line, as numbers and as text. */
export function hex(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.slice(at, at + 16)];
    const numbers = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const letters = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${numbers}  ${letters}`);
  }
  return lines.join("\n");
}
