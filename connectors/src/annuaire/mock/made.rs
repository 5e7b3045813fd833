//! Made-up resources of the Annuaire, each from a seed and its place alone: a million of them need no room.

use std::fmt::Write as _;

/// The types the Annuaire serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Practitioner,
    PractitionerRole,
    Organization,
    HealthcareService,
    Device,
}

/// What one version of a resource is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe<'a> {
    pub(super) kind: Kind,
    pub(super) id: &'a str,
    /// Where it stands among those of its type.
    pub(super) place: u64,
    /// Another edition is another content.
    pub(super) edition: u32,
    pub(super) is_active: bool,
    /// The server's own number of the version, as it writes it.
    pub(super) version: &'a str,
    /// With the server's offset.
    pub(super) updated: &'a str,
}

const FAMILIES: [&str; 24] = [
    "DUPONT-ÉTOILE",
    "MARTIN",
    "ŒUVRARD",
    "BERNARD",
    "THOMAS",
    "PETIT",
    "ROBERT",
    "RICHARD",
    "DURAND",
    "DUBOIS",
    "MOREAU",
    "LAURENT",
    "SIMON",
    "MICHEL",
    "LEFÈVRE",
    "LEROY",
    "ROUX",
    "DAVID",
    "BERTRAND",
    "MOREL",
    "FOURNIER",
    "GIRARD",
    "BONNET",
    "LE GOFF",
];
const GIVEN: [&str; 20] = [
    "Zoé",
    "Jean",
    "Maël",
    "Anaïs",
    "Chloé",
    "Hugo",
    "Léa",
    "Louis",
    "Inès",
    "Noël",
    "Agnès",
    "Benoît",
    "Cécile",
    "François",
    "Gaëlle",
    "Hélène",
    "Jérôme",
    "Loïc",
    "Noémie",
    "Rémi",
];
const CITIES: [(&str, &str); 6] = [
    ("VILLE-FICTIVE", "99000"),
    ("SAINT-EXEMPLE", "99100"),
    ("PORT-MODÈLE", "99200"),
    ("MONT-ESSAI", "99300"),
    ("L'ÉPREUVE", "99400"),
    ("BOURG-TÉMOIN", "99500"),
];
/// Professions: physician, nurse, pharmacist, midwife, dentist.
const PROFESSIONS: [&str; 5] = ["10", "60", "21", "50", "40"];

const NOS: &str = "https://mos.esante.gouv.fr/NOS";
const IG: &str = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition";
const CORE: &str = "https://hl7.fr/ig/fhir/core/StructureDefinition";
const TYPES: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203";

impl Kind {
    pub const ALL: [Self; 5] = [
        Self::Practitioner,
        Self::PractitionerRole,
        Self::Organization,
        Self::HealthcareService,
        Self::Device,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Practitioner => "Practitioner",
            Self::PractitionerRole => "PractitionerRole",
            Self::Organization => "Organization",
            Self::HealthcareService => "HealthcareService",
            Self::Device => "Device",
        }
    }

    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How many there are of it beside so many practitioners.
    pub(super) fn count(self, practitioners: u64) -> u64 {
        match self {
            Self::Practitioner | Self::PractitionerRole => practitioners,
            Self::Organization => practitioners.div_ceil(10),
            Self::HealthcareService => practitioners.div_ceil(20),
            Self::Device => practitioners.div_ceil(50),
        }
    }

    /// The id of the one at a place.
    pub(super) fn id(self, place: u64) -> String {
        match self {
            Self::Practitioner => format!("003-{}-{}", 9_000_001 + place, 9_100_001 + place),
            Self::PractitionerRole => format!("005-{}-{}", 9_200_001 + place, 9_300_001 + place),
            Self::Organization if place.is_multiple_of(10) => format!("001-02-{}", 900_001 + place),
            Self::Organization => format!("001-01-{}", 900_001 + place),
            Self::HealthcareService => format!("004-{}-03", 9_000_001 + place),
            Self::Device => format!("002-{}", 9_000_001 + place),
        }
    }

    /// The place of an id, where it is one of those.
    pub(super) fn place(self, id: &str) -> Option<u64> {
        let number =
            id.split('-').nth(if self == Self::Organization { 2 } else { 1 })?.parse::<u64>().ok()?;
        let first = match self {
            Self::PractitionerRole => 9_200_001,
            Self::Organization => 900_001,
            _ => 9_000_001,
        };
        number.checked_sub(first).filter(|place| self.id(*place) == id)
    }
}

impl Recipe<'_> {
    /// The resource, as the Annuaire writes it.
    pub(super) fn write(&self, seed: u64, counts: impl Fn(Kind) -> u64, text: &mut String) {
        let drawn = mix(seed ^ mix(self.place ^ ((self.kind as u64) << 56)));
        self.begin(text);
        match self.kind {
            Kind::Practitioner => self.practitioner(drawn, text),
            Kind::PractitionerRole => self.role(drawn, &counts, text),
            Kind::Organization => self.organization(drawn, text),
            Kind::HealthcareService => self.service(drawn, &counts, text),
            Kind::Device => self.device(drawn, &counts, text),
        }
        text.push('}');
    }

    fn begin(&self, text: &mut String) {
        let (system, profiles) = match self.kind {
            Kind::Practitioner => (
                "RPPS",
                [format!("{CORE}/fr-core-practitioner"), format!("{IG}/as-dp-practitioner")].to_vec(),
            ),
            Kind::PractitionerRole => (
                "RPPS",
                [format!("{CORE}/fr-core-practitioner-role"), format!("{IG}/as-dp-practitionerrole")]
                    .to_vec(),
            ),
            Kind::Organization => (
                "FINESS",
                [format!("{CORE}/fr-core-organization"), format!("{IG}/as-dp-organization")].to_vec(),
            ),
            Kind::HealthcareService if self.is_social() => {
                ("FINESS", vec![format!("{IG}/as-dp-healthcareservice-social-equipment")])
            }
            Kind::HealthcareService => {
                ("FINESS", vec![format!("{IG}/as-dp-healthcareservice-healthcare-activity")])
            }
            Kind::Device => ("FINESS", vec![format!("{IG}/as-dp-device")]),
        };
        let (kind, id, version, updated) = (self.kind.name(), self.id, self.version, self.updated);
        let profiles = profiles.join("\",\"");
        let _ = write!(
            text,
            r#"{{"resourceType":"{kind}","id":"{id}","meta":{{"extension":[{{"extension":[{{"url":"systeme-information","valueCode":"{system}"}}],"url":"{IG}/as-ext-data-trace"}}],"versionId":{version},"lastUpdated":"{updated}","source":"https://annuaire.sante.fr","profile":["{profiles}"]}},"language":"fr""#
        );
    }

    fn practitioner(&self, drawn: u64, text: &mut String) {
        let rpps = rpps(self.place);
        let active = self.is_active;
        let _ = write!(
            text,
            r#","identifier":[{{"use":"official","type":{{"coding":[{{"system":"{TYPES}","code":"IDNPS"}}]}},"system":"urn:oid:1.2.250.1.71.4.2.1","value":"8{rpps}"}},{{"use":"official","type":{{"coding":[{{"system":"{TYPES}","code":"RPPS"}}]}},"system":"https://rpps.esante.gouv.fr","value":"{rpps}"}}],"active":{active}"#
        );
        if !active {
            return;
        }
        let family = pick(&FAMILIES, drawn);
        let given = pick(&GIVEN, drawn >> 16);
        let prefix = if drawn & 1 == 0 { "MME" } else { "M" };
        // A marriage, a change of name: what an edition changes.
        let family = if self.edition == 0 {
            (*family).to_owned()
        } else {
            format!("{family}-{}", edition(self.edition))
        };
        let _ = write!(
            text,
            r#","name":[{{"use":"usual","text":"{given} {family}","family":"{family}","given":["{given}"],"prefix":["{prefix}"],"suffix":["DR"]}}]"#
        );
        if drawn & 2 == 0 {
            let mailbox = format!("{rpps}@exemple.mssante.fr");
            let _ = write!(text, r#","telecom":[{}]"#, mss(&mailbox, "PER"));
        }
        let profession = pick(&PROFESSIONS, drawn >> 8);
        let _ = write!(
            text,
            r#","qualification":[{{"code":{{"coding":[{{"system":"{NOS}/TRE_R48-DiplomeEtatFrancais/FHIR/TRE-R48-DiplomeEtatFrancais","code":"DE28"}},{{"system":"{NOS}/TRE_R14-TypeDiplome/FHIR/TRE-R14-TypeDiplome","code":"DE"}}]}}}},{{"code":{{"coding":[{{"system":"{NOS}/TRE_R09-CategorieProfessionnelle/FHIR/TRE-R09-CategorieProfessionnelle","code":"C"}},{{"system":"{NOS}/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante","code":"{profession}"}}]}}}}]"#
        );
    }

    fn role(&self, drawn: u64, counts: &impl Fn(Kind) -> u64, text: &mut String) {
        let active = self.is_active;
        let identifier = 1_999_000_001 + self.place;
        let _ = write!(
            text,
            r#","identifier":[{{"system":"https://rpps.esante.gouv.fr","value":"{identifier}"}}],"active":{active}"#
        );
        if !active {
            return;
        }
        let practitioner = Kind::Practitioner.id(self.place % counts(Kind::Practitioner).max(1));
        let _ = write!(text, r#","practitioner":{{"reference":"Practitioner/{practitioner}"}}"#);
        // One in eight works for nobody.
        if drawn & 7 != 0 {
            let organization = Kind::Organization.id(drawn % counts(Kind::Organization).max(1));
            let _ = write!(text, r#","organization":{{"reference":"Organization/{organization}"}}"#);
        }
        let function =
            if self.edition == 0 { "FON-AU".to_owned() } else { format!("FON-{:02}", self.edition) };
        let _ = write!(
            text,
            r#","code":[{{"coding":[{{"system":"{NOS}/TRE_R22-GenreActivite/FHIR/TRE-R22-GenreActivite","code":"GENR01"}}]}},{{"coding":[{{"system":"{NOS}/TRE_R23-ModeExercice/FHIR/TRE-R23-ModeExercice","code":"L"}}]}},{{"coding":[{{"system":"{NOS}/TRE_R21-Fonction/FHIR/TRE-R21-Fonction","code":"{function}"}}]}}]"#
        );
        if drawn & 8 == 0 {
            let _ = write!(
                text,
                r#","telecom":[{}]"#,
                mss(&format!("cabinet{}@exemple.mssante.fr", self.place), "CAB")
            );
        }
    }

    fn organization(&self, drawn: u64, text: &mut String) {
        let finess = finess(self.place);
        let is_legal = self.place.is_multiple_of(10);
        let code = if is_legal { "FINEJ" } else { "FINEG" };
        let name = format!("CENTRE DE SANTÉ {} {}", pick(&FAMILIES, drawn), self.place);
        let name = if self.edition == 0 { name } else { format!("{name} ({})", edition(self.edition)) };
        let active = self.is_active;
        let _ = write!(
            text,
            r#","identifier":[{{"use":"official","type":{{"coding":[{{"system":"{TYPES}","code":"IDNST"}}]}},"system":"urn:oid:1.2.250.1.71.4.2.2","value":"1{finess}"}},{{"use":"official","type":{{"coding":[{{"system":"{TYPES}","code":"{code}"}}]}},"system":"https://finess.esante.gouv.fr","value":"{finess}"}}],"active":{active}"#
        );
        if !active {
            let _ = write!(text, r#","name":"{name}""#);
            return;
        }
        let entity = if is_legal { "LEGAL-ENTITY" } else { "GEOGRAPHICAL-ENTITY" };
        let (city, code) = pick(&CITIES, drawn >> 8);
        let number = 1 + drawn % 99;
        let _ = write!(
            text,
            r#","type":[{{"extension":[{{"url":"{IG}/as-ext-organization-types","valueCode":"organizationType"}}],"coding":[{{"system":"https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-3307","code":"{entity}"}}]}},{{"extension":[{{"url":"{IG}/as-ext-organization-types","valueCode":"secteurActiviteRASS"}}],"coding":[{{"system":"{NOS}/TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite","code":"SA05"}}]}}],"name":"{name}","address":[{{"extension":[{{"url":"{CORE}/fr-core-address-insee-code","valueCoding":{{"system":"{NOS}/TRE_R13-Commune/FHIR/TRE-R13-Commune","code":"99999"}}}}],"_line":[{{"extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-houseNumber","valueString":"{number}"}},{{"url":"http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-streetNameType","valueString":"R"}},{{"url":"http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-streetNameBase","valueString":"DE L'ÉGLISE"}}]}}],"city":"{city}","postalCode":"{code}"}}]"#
        );
        if !is_legal {
            let above = Kind::Organization.id(self.place / 10 * 10);
            let _ = write!(text, r#","partOf":{{"reference":"Organization/{above}"}}"#);
        }
    }

    fn is_social(&self) -> bool {
        !self.place.is_multiple_of(2)
    }

    fn service(&self, drawn: u64, counts: &impl Fn(Kind) -> u64, text: &mut String) {
        if !self.is_social() {
            let place = self.place;
            let _ = write!(
                text,
                r#","identifier":[{{"system":"https://arhgos.ars.sante.fr","value":"99-99-{place:05}"}}]"#
            );
        }
        let _ = write!(text, r#","active":{}"#, self.is_active);
        if !self.is_active {
            return;
        }
        let organization = Kind::Organization.id(drawn % counts(Kind::Organization).max(1));
        let modality = 42 + self.edition;
        let _ = write!(
            text,
            r#","providedBy":{{"reference":"Organization/{organization}"}},"category":[{{"coding":[{{"system":"{NOS}/TRE_R275-ModaliteActivite/FHIR/TRE-R275-ModaliteActivite","code":"{modality}"}}]}}],"type":[{{"coding":[{{"system":"{NOS}/TRE_R277-ActiviteSanitaireRegulee/FHIR/TRE-R277-ActiviteSanitaireRegulee","code":"03"}}]}}],"characteristic":[{{"coding":[{{"system":"{NOS}/TRE_R276-FormeActivite/FHIR/TRE-R276-FormeActivite","code":"07"}}]}}]"#
        );
    }

    fn device(&self, drawn: u64, counts: &impl Fn(Kind) -> u64, text: &mut String) {
        let status = if self.is_active { "active" } else { "inactive" };
        let place = self.place;
        let _ = write!(
            text,
            r#","identifier":[{{"system":"https://arhgos.ars.sante.fr","value":"99-98-{place:05}"}}],"status":"{status}""#
        );
        if !self.is_active {
            return;
        }
        let organization = Kind::Organization.id(drawn % counts(Kind::Organization).max(1));
        let serial = format!("SN-{place:06}-{}", self.edition);
        let _ = write!(
            text,
            r#","manufacturer":"SIEMENS","serialNumber":"{serial}","type":{{"coding":[{{"system":"{NOS}/TRE_R272-EquipementMaterielLourd/FHIR/TRE-R272-EquipementMaterielLourd","code":"05602"}}]}},"owner":{{"reference":"Organization/{organization}"}}"#
        );
    }
}

/// The RPPS of the practitioner at a place: outside the range that is given out, and right by Luhn.
pub fn rpps(place: u64) -> String {
    with_check_digit(1_999_000_001 + place)
}

fn finess(place: u64) -> String {
    with_check_digit(99_000_001 + place)
}

/// The profession of the practitioner at a place.
pub(super) fn profession(seed: u64, place: u64) -> &'static str {
    let drawn = mix(seed ^ mix(place ^ ((Kind::Practitioner as u64) << 56)));
    let profession: &&'static str = pick(&PROFESSIONS, drawn >> 8);
    profession
}

fn mss(mailbox: &str, kind: &str) -> String {
    format!(
        r#"{{"extension":[{{"url":"{CORE}/fr-core-contact-point-email-type","valueCoding":{{"system":"{NOS}/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie","code":"MSSANTE"}}}},{{"url":"{IG}/as-ext-mailbox-mss-metadata","extension":[{{"url":"type","valueCodeableConcept":{{"coding":[{{"system":"{NOS}/TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL","code":"{kind}"}}]}}}},{{"url":"digitization","valueBoolean":true}}]}}],"system":"email","value":"{mailbox}"}}"#
    )
}

/// Letters that tell one edition from the next.
fn edition(number: u32) -> String {
    let letter = |digit: u32| char::from(b'A' + digit as u8);
    number.to_string().chars().filter_map(|digit| digit.to_digit(10)).map(letter).collect()
}

fn with_check_digit(number: u64) -> String {
    let digits = number.to_string();
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits
        .chars()
        .rev()
        .filter_map(|digit| digit.to_digit(10))
        .enumerate()
        .map(|(place, digit)| if place.is_multiple_of(2) { doubled(digit) } else { digit })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn pick<T, const N: usize>(all: &[T; N], drawn: u64) -> &T {
    &all[drawn as usize % N]
}

/// Scatters the bits of a number.
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_resource_is_json_with_its_id_and_the_place_is_found_again() {
        for kind in Kind::ALL {
            for place in [0, 1, 7, 10, 999_999] {
                for (edition, is_active) in [(0, true), (12, true), (0, false)] {
                    let id = kind.id(place);
                    let updated = "2025-04-28T18:19:26.335+02:00";
                    let recipe =
                        Recipe { kind, id: &id, place, edition, is_active, version: "\"1\"", updated };
                    let mut text = String::new();
                    recipe.write(7, |kind| kind.count(1_000_000), &mut text);
                    let read: Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(
                        (read["resourceType"].as_str(), read["id"].as_str()),
                        (Some(kind.name()), Some(&*id))
                    );
                    assert_eq!(kind.place(&id), Some(place), "{id}");
                }
            }
        }
        assert_eq!(Kind::Practitioner.place("003-1-2"), None);
    }

    #[test]
    fn numbers_are_right_by_luhn_and_outside_what_is_given_out() {
        assert_eq!(
            (rpps(0), rpps(1), rpps(4)),
            ("19990000010".into(), "19990000028".into(), "19990000051".into())
        );
    }
}
