//! The FHIR Bundle that a script makes of an HL7 message: what goes in, what is changed, what comes out.

use rhai::{Array, Dynamic, FnPtr, Map, NativeCallContext, plugin::*};

use super::Outcome;
use crate::{
    fhir::{self, Draft, Method, Order},
    handle::{Hl7, Segment},
};

#[export_module]
pub(crate) mod functions {
    /// Begins a Bundle from a message. The options are the site's: see the guide to the mapping.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.transaction().type == "transaction"
    /// ```
    #[rhai_fn(name = "fhir")]
    pub fn begin(message: Hl7, options: Map) -> Draft {
        Draft::new(message, options)
    }

    /// One of the site's options; `()` where it is not set.
    ///
    /// ```rhai
    /// fhir(msg, #{patient: "update"}).option("patient") == "update" && fhir(msg, #{}).option("patient") == ()
    /// ```
    #[rhai_fn(pure)]
    pub fn option(to: &mut Draft, name: &str) -> Dynamic {
        to.site.option(name)
    }

    /// The first segment of a name; `()` where there is none.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.first("PID")["8"] == "M" && to.first("ZZZ") == ()
    /// ```
    #[rhai_fn(pure)]
    pub fn first(to: &mut Draft, name: &str) -> Dynamic {
        to.first_segment(name)
    }

    /// All segments of a name.
    ///
    /// ```rhai
    /// fhir(msg, #{}).all("OBX").len() == 2
    /// ```
    #[rhai_fn(pure)]
    pub fn all(to: &mut Draft, name: &str) -> Array {
        to.all(name)
    }

    /// All segments of the message, MSH first.
    ///
    /// ```rhai
    /// fhir(msg, #{}).segments()[1].name == "PID"
    /// ```
    #[rhai_fn(pure)]
    pub fn segments(to: &mut Draft) -> Array {
        to.message.clone().segments(None)
    }

    /// The orders of the message, each with its `patient` (PID), `visit` (PV1), `order` (ORC) and `request` (OBR), which are `()`
    /// where there is none, and the lists `results` (OBX), `specimens` (`segment` and `results`), `timings` (TQ1), `diagnoses` (DG1).
    ///
    /// ```rhai
    /// let orders = fhir(msg, #{}).orders(); orders.len() == 1 && orders[0].results.len() == 2
    /// ```
    #[rhai_fn(pure)]
    pub fn orders(to: &mut Draft) -> Array {
        to.orders().into_iter().map(Dynamic::from).collect()
    }

    /// An order's PID.
    #[rhai_fn(get = "patient", pure)]
    pub fn patient_of(order: &mut Order) -> Dynamic {
        order.0.patient.clone()
    }

    /// An order's PV1.
    #[rhai_fn(get = "visit", pure)]
    pub fn visit_of(order: &mut Order) -> Dynamic {
        order.0.visit.clone()
    }

    /// An order's ORC.
    #[rhai_fn(get = "order", pure)]
    pub fn control_of(order: &mut Order) -> Dynamic {
        order.0.order.clone()
    }

    /// An order's OBR.
    #[rhai_fn(get = "request", pure)]
    pub fn request_of(order: &mut Order) -> Dynamic {
        order.0.request.clone()
    }

    /// An order's OBX.
    #[rhai_fn(get = "results", pure)]
    pub fn results_of(order: &mut Order) -> Array {
        order.0.results.clone()
    }

    /// An order's SPM, each with its `segment` and its own `results`.
    #[rhai_fn(get = "specimens", pure)]
    pub fn specimens_of(order: &mut Order) -> Array {
        order.0.specimens()
    }

    /// An order's TQ1.
    #[rhai_fn(get = "timings", pure)]
    pub fn timings_of(order: &mut Order) -> Array {
        order.0.timings.clone()
    }

    /// An order's DG1.
    #[rhai_fn(get = "diagnoses", pure)]
    pub fn diagnoses_of(order: &mut Order) -> Array {
        order.0.diagnoses.clone()
    }

    /// An identity made of texts, numbers, identifiers and lists of these: the same ones give the same identity.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.key(["a", 1]) == to.key(["a", 1]) && to.key(["a"]).value.starts_with("urn:uuid:")
    /// ```
    #[rhai_fn(pure)]
    pub fn key(_to: &mut Draft, of: Array) -> Map {
        fhir::key_of(&Dynamic::from_array(of))
    }

    /// Adds a resource that the server makes unless it has one with this identifier. Gives a reference to it. One that is in the
    /// Bundle already stays as it is.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{});
    /// to.create(#{resourceType: "Organization", name: "HOP"}, #{system: "urn:x", value: "1"});
    /// to.transaction().entry[0].request.ifNoneExist == "identifier=urn:x|1"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn create(to: &mut Draft, resource: Map, identifier: Map) -> Outcome<Map> {
        to.put(Method::Create, resource, &identifier)
    }

    /// Adds a resource that takes the place of the one with this identifier, or is made where there is none.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{});
    /// to.update(#{resourceType: "Organization", name: "HOP"}, #{system: "urn:x", value: "1"});
    /// to.transaction().entry[0].request.url == "Organization?identifier=urn:x|1"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn update(to: &mut Draft, resource: Map, identifier: Map) -> Outcome<Map> {
        to.put(Method::Update, resource, &identifier)
    }

    /// Adds a value to a list of a resource that is in the Bundle.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{});
    /// let added = to.create(#{resourceType: "Organization"}, #{value: "1"});
    /// to.append(added, "alias", "HOP");
    /// to.transaction().entry[0].resource.alias == ["HOP"]
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn append(to: &mut Draft, reference: Map, member: &str, value: Dynamic) -> Outcome<()> {
        to.append(&reference, member, value)
    }

    /// Calls a function on each resource of a type; `this` is the resource, and is changed in the Bundle.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{});
    /// to.create(#{resourceType: "Organization"}, #{value: "1"});
    /// to.change("Organization", || this.name = "HOP");
    /// to.transaction().entry[0].resource.name == "HOP"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn change(context: NativeCallContext<'_>, to: &mut Draft, kind: &str, with: FnPtr) -> Outcome<()> {
        for (place, mut resource) in to.resources(kind) {
            let _ = with.call_raw(&context, Some(&mut resource), [])?;
            to.put_back(place, resource);
        }
        Ok(())
    }

    /// Notes in the Bundle (`meta.extension`) what could not be mapped. Notes must hold no content of the message.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.note("PID-7 is no date"); to.transaction().meta.extension.len() > 0
    /// ```
    #[rhai_fn(pure)]
    pub fn note(to: &mut Draft, text: &str) {
        to.note(text.to_owned());
    }

    /// The fields that hold something and were not read, each once: `PID-26`.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{}); to.text(to.first("PID"), 8); !to.not_mapped().contains("PID-8") && to.not_mapped().contains("PID-7")
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn not_mapped(to: &mut Draft) -> Outcome<Array> {
        Ok(to.not_mapped()?.into_iter().map(Dynamic::from).collect())
    }

    /// The Bundle as a transaction: each resource is made or put in its place by its identifier, so that a repeat makes no
    /// second one.
    ///
    /// ```rhai
    /// fhir(msg, #{}).transaction().identifier.value == "MSG001"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn transaction(to: &mut Draft) -> Outcome<Map> {
        to.transaction()
    }

    /// As `transaction`, and the last that is done with it: the resources leave it, which is quicker than to copy them.
    ///
    /// ```rhai
    /// let to = fhir(msg, #{});
    /// to.create(#{resourceType: "Organization"}, #{value: "1"});
    /// to.take_transaction().entry.len() == 1 && !("entry" in to.transaction())
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn take_transaction(to: &mut Draft) -> Outcome<Map> {
        to.take_transaction()
    }

    /// The members of a map, which is empty then: what a function makes and gives away is moved, and not copied.
    ///
    /// ```rhai
    /// let made = #{a: 1}; let given = made.take(); given.a == 1 && made.is_empty()
    /// ```
    pub fn take(map: &mut Map) -> Map {
        mem::take(map)
    }

    /// The Bundle as a FHIR message behind a `MessageHeader`.
    ///
    /// ```rhai
    /// fhir(msg, #{}).message(#{resourceType: "MessageHeader"}).entry[0].resource.resourceType == "MessageHeader"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn message(to: &mut Draft, header: Map) -> Outcome<Map> {
        to.message(header)
    }

    /// The comments (NTE) right behind a segment, as a list of Annotations.
    ///
    /// ```rhai
    /// msg.append("NTE|1||seen"); msg.append("NTE|2||twice");
    /// let to = fhir(msg, #{}); to.comments(to.all("OBX")[1])[0].text == "seen\ntwice"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn comments(to: &mut Draft, segment: Segment) -> Outcome<Array> {
        Ok(to.comments(&segment)?.into_iter().map(Dynamic::from_map).collect())
    }
}
