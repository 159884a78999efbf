//! The nodes, topics and the store of a foreign-key join, in the order and with the names of Kafka Streams.
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
};

use millstream_state::{LoggedHeaders, StoreBackend, StoreKind, StoreSpec};

use crate::{
    engine::{port, table_port},
    operators::{suffixed, table_source::result_rows},
    options::{Materialized, TableJoined},
    serde::{OptionSerde, SharedSerde, read},
    stream::{Partitioner, SinkOptions, TimestampExtractor, factory, sink_factory, source_factory},
    table::{
        KTable,
        getter::{View, key_value},
        view::SourceView,
    },
    topology::{Builder, GraphNode, InternalTopic, SinkTarget, SourceTopics, StoreBuilder, TopologyWriter},
};

use super::{
    answer::{AnswerAll, AnswerNow, Keep},
    resolve::{Joiner, Resolve},
    subscribe::{Extractor, Subscribe},
    wire::{Answer, AnswerSerde, PrimaryKeySerde, Subscription, SubscriptionSerde, shared},
};

/// Names of everything but the result, in the order in which they use up indices.
struct Names {
    registration_topic: Arc<str>,
    subscribe: Arc<str>,
    registration_sink: Arc<str>,
    registration_source: Arc<str>,
    store: Arc<str>,
    keep: Arc<str>,
    answer_now: Arc<str>,
    answer_all: Arc<str>,
    response_topic: Arc<str>,
    response_sink: Arc<str>,
    response_source: Arc<str>,
    resolve: Arc<str>,
    result: Arc<str>,
}
impl Names {
    fn new(builder: &mut Builder, given: Option<&Arc<str>>) -> Self {
        let mut name = |suffix: &str, kind: &str| suffixed(builder, given, suffix, &format!("KTABLE-{kind}-"));
        let topic = |name: Arc<str>| -> Arc<str> { format!("{name}-topic").into() };
        const REGISTRATION: &str = "FK-JOIN-SUBSCRIPTION-REGISTRATION";
        const PROCESSOR: &str = "FK-JOIN-SUBSCRIPTION-PROCESSOR";
        Self {
            registration_topic: topic(name("-subscription-registration", REGISTRATION)),
            subscribe: name("-subscription-registration-processor", REGISTRATION),
            registration_sink: name("-subscription-registration-sink", "SINK"),
            registration_source: name("-subscription-registration-source", "SOURCE"),
            store: name("-subscription-store", "FK-JOIN-SUBSCRIPTION-STATE-STORE"),
            keep: name("-subscription-receive", PROCESSOR),
            answer_now: name("-subscription-join-foreign", PROCESSOR),
            answer_all: name("-foreign-join-subscription", PROCESSOR),
            response_topic: topic(name("-subscription-response", "FK-JOIN-SUBSCRIPTION-RESPONSE")),
            response_sink: name("-subscription-response-sink", "SINK"),
            response_source: name("-subscription-response-source", "SOURCE"),
            resolve: name(
                "-subscription-response-resolver",
                "FK-JOIN-SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR",
            ),
            result: name("-result", "FK-JOIN-OUTPUT"),
        }
    }
}

/// Everything the nodes are made of.
struct Parts<K, V, KO, VO, VR> {
    names: Names,
    left: bool,
    key: SharedSerde<K>,
    /// Whether the bytes of primary keys are bytes of `key`.
    reuse_key_bytes: bool,
    value: SharedSerde<V>,
    foreign_key: SharedSerde<KO>,
    foreign_value: SharedSerde<VO>,
    primary: View<K, V>,
    foreign: View<KO, VO>,
    extractor: Extractor<K, V, KO>,
    joiner: Joiner<V, VO, VR>,
    joined: TableJoined<K, KO>,
    primary_name: Arc<str>,
    foreign_name: Arc<str>,
    /// Whether the tables have a history: then only their newest rows count.
    versioned: bool,
    foreign_versioned: bool,
}

impl<K: 'static, V: 'static, KO: 'static, VO: 'static, VR: 'static> Parts<K, V, KO, VO, VR> {
    fn write(&self, writer: &mut TopologyWriter, primary_sources: &BTreeSet<Arc<str>>, foreign: &BTreeSet<Arc<str>>) {
        let names = &self.names;
        let with = |sources: &BTreeSet<Arc<str>>, source: &Arc<str>| -> Vec<Arc<str>> {
            sources.iter().chain([source]).cloned().collect()
        };
        self.write_subscribe(writer);
        writer.copartition(&with(foreign, &names.registration_source));
        self.write_answers(writer);
        self.write_response(writer);
        writer.copartition(&with(primary_sources, &names.response_source));
        self.write_resolve(writer);
    }

    fn write_subscribe(&self, writer: &mut TopologyWriter) {
        let names = &self.names;
        let (left, versioned, extractor) = (self.left, self.versioned, self.extractor.clone());
        let (key, value, foreign_key) = (self.key.clone(), self.value.clone(), self.foreign_key.clone());
        let reuse_key_bytes = self.reuse_key_bytes;
        let subscribe = factory(move |scope| {
            Ok(table_port(Subscribe {
                node: scope.name().clone(),
                left,
                versioned,
                extractor: extractor.clone(),
                key: key.clone(),
                reuse_key_bytes,
                value: value.clone(),
                foreign_key: foreign_key.clone(),
                children: scope.children()?,
                scratch: RefCell::default(),
            }))
        });
        writer.add_processor(&names.subscribe, std::slice::from_ref(&self.primary_name), subscribe);
        let nullable: SharedSerde<Option<KO>> = Arc::new(OptionSerde::new(self.foreign_key.clone()));
        let partitioner = self.joined.other_partitioner.clone().map(|choose| {
            let partitioner = move |topic: &str, key: &Option<KO>, _: &Subscription, count: i32| {
                key.as_ref().and_then(|key| choose(topic, key, count)).map(|p| vec![p])
            };
            Arc::new(partitioner) as Arc<dyn Partitioner<Option<KO>, Subscription>>
        });
        let sink = sink_factory(SinkOptions {
            key: nullable.clone(),
            value: shared(SubscriptionSerde),
            reuse_key_bytes: true,
            topic: names.registration_topic.clone(),
            topic_fn: None,
            partitioner,
        });
        let topic = InternalTopic::repartition(&names.registration_topic, None);
        let target = SinkTarget::Internal(topic.clone());
        writer.add_sink(
            &names.registration_sink,
            target,
            std::slice::from_ref(&names.subscribe),
            sink,
        );
        let source = source_factory(nullable, shared(SubscriptionSerde), TimestampExtractor::Record);
        writer.add_source(&names.registration_source, SourceTopics::Internal(topic), None, source);
    }

    fn write_answers(&self, writer: &mut TopologyWriter) {
        let names = &self.names;
        let (store, foreign_key) = (names.store.clone(), self.foreign_key.clone());
        let keep = factory(move |scope| {
            Ok(port(Keep {
                node: scope.name().clone(),
                store: key_value(scope, &store)?,
                foreign_key: foreign_key.clone(),
                children: scope.children()?,
                scratch: RefCell::default(),
            }))
        });
        writer.add_processor(&names.keep, std::slice::from_ref(&names.registration_source), keep);
        let (getter, value) = (self.foreign.factory.clone(), self.foreign_value.clone());
        let answer_now = factory(move |scope| {
            Ok(port(AnswerNow {
                node: scope.name().clone(),
                foreign: getter(scope)?,
                value: value.clone(),
                children: scope.children()?,
                answer: RefCell::default(),
            }))
        });
        writer.add_processor(&names.answer_now, std::slice::from_ref(&names.keep), answer_now);
        let (store, key, value) = (
            names.store.clone(),
            self.foreign_key.clone(),
            self.foreign_value.clone(),
        );
        let versioned = self.foreign_versioned;
        let answer_all = factory(move |scope| {
            Ok(table_port(AnswerAll {
                node: scope.name().clone(),
                versioned,
                store: key_value(scope, &store)?,
                key: key.clone(),
                value: value.clone(),
                children: scope.children()?,
                scratch: RefCell::default(),
            }))
        });
        writer.add_processor(&names.answer_all, std::slice::from_ref(&self.foreign_name), answer_all);
        writer.add_store(
            subscription_store(&names.store),
            &[names.keep.clone(), names.answer_all.clone()],
        );
        for store in &self.foreign.stores {
            writer.connect(&names.answer_now, store);
        }
    }

    fn write_response(&self, writer: &mut TopologyWriter) {
        let names = &self.names;
        let sink = sink_factory(SinkOptions {
            key: shared(PrimaryKeySerde(self.key.clone())),
            value: shared(AnswerSerde),
            reuse_key_bytes: true,
            topic: names.response_topic.clone(),
            topic_fn: None,
            partitioner: Some(self.response_partitioner()),
        });
        let topic = InternalTopic::repartition(&names.response_topic, None);
        let target = SinkTarget::Internal(topic.clone());
        let parents = [names.answer_now.clone(), names.answer_all.clone()];
        writer.add_sink(&names.response_sink, target, &parents, sink);
        let source = source_factory(self.key.clone(), shared(AnswerSerde), TimestampExtractor::Record);
        writer.add_source(&names.response_source, SourceTopics::Internal(topic), None, source);
    }

    /// Where the row is that asked: as the subscription says, or as the user does.
    fn response_partitioner(&self) -> Arc<dyn Partitioner<Vec<u8>, Answer>> {
        let Some(choose) = self.joined.partitioner.clone() else {
            return Arc::new(|_: &str, _: &Vec<u8>, answer: &Answer, _: i32| answer.partition.map(|p| vec![p]));
        };
        let serde = self.key.clone();
        Arc::new(move |topic: &str, key: &Vec<u8>, _: &Answer, count: i32| {
            // A key that cannot be read goes where the default partitioner says; whoever reads it there asks the
            // deserialization handler.
            let key = read(&*serde, Some(key)).ok()?;
            choose(topic, &key, count).map(|p| vec![p])
        })
    }

    fn write_resolve(&self, writer: &mut TopologyWriter) {
        let names = &self.names;
        let (left, joiner) = (self.left, self.joiner.clone());
        let (getter, value, foreign) = (
            self.primary.factory.clone(),
            self.value.clone(),
            self.foreign_value.clone(),
        );
        let resolve = factory(move |scope| {
            Ok(port(Resolve {
                node: scope.name().clone(),
                left,
                primary: getter(scope)?,
                value: value.clone(),
                foreign: foreign.clone(),
                joiner: joiner.clone(),
                children: scope.children::<K, Option<VR>>()?,
                buffer: RefCell::default(),
            }))
        });
        writer.add_processor(&names.resolve, std::slice::from_ref(&names.response_source), resolve);
        for store in &self.primary.stores {
            writer.connect(&names.resolve, store);
        }
    }
}

fn subscription_store(name: &Arc<str>) -> StoreBuilder {
    let mut store = StoreBuilder::new(StoreSpec {
        name: name.clone(),
        kind: StoreKind::KeyValue { timestamped: true },
        backend: StoreBackend::Persistent,
        // Never cached: an answer to all must see every subscription, and nobody listens to the rows.
        caching: false,
        logging: true,
        logged_headers: LoggedHeaders::Always,
    });
    store.default_backend = true;
    store
}

impl<K: 'static, V: 'static> KTable<K, V> {
    pub(super) fn add_join_on<KO: 'static, VO: 'static, VR: 'static>(
        &self,
        other: &KTable<KO, VO>,
        extractor: Extractor<K, V, KO>,
        joiner: Joiner<V, VO, VR>,
        joined: TableJoined<K, KO>,
        materialized: Materialized<K, VR>,
        left: bool,
    ) -> KTable<K, VR> {
        // Old values tell which subscription to take back; and both tables must be there to be looked into.
        other.view.enable_old_values(true);
        self.view.enable_old_values(true);
        let mut builder = self.builder.borrow_mut();
        let names = Names::new(&mut builder, joined.name.name());
        let result = names.result.clone();
        let store = materialized.store_name(&mut builder, "KTABLE-FK-JOIN-OUTPUT-");
        let sources: BTreeSet<_> = self.sources.iter().chain([&names.response_source]).cloned().collect();
        // Without a serde the result can still be passed on; it is missed only if there must be a store.
        let storable =
            materialized.name.is_some() || materialized.value.is_some() || builder.default_serde::<VR>().is_some();
        let planned = storable
            .then(|| materialized.plan(&mut builder, &store, self.key_serde.as_ref(), None))
            .flatten();
        let serdes = planned.as_ref().map(|p| (p.plan.key.clone(), p.plan.value.clone()));
        let view = Rc::new(SourceView {
            store,
            serdes: serdes.clone(),
            materialized: Cell::new(materialized.name.is_some()),
            versioned: materialized.is_versioned(),
            send_old: Cell::new(false),
        });
        let parts = self.parts(&mut builder, other, (names, extractor, joiner, joined, left));
        let (primary_sources, foreign_sources) = (self.sources.clone(), other.sources.clone());
        let state = view.clone();
        let write = move |name: &Arc<str>, _: &[Arc<str>], writer: &mut TopologyWriter| {
            let Some(parts) = &parts else { return };
            parts.write(writer, &primary_sources, &foreign_sources);
            let stored = state.materialized.get();
            if stored && planned.is_none() {
                let message = format!("no serde for `{}`: give one", std::any::type_name::<VR>());
                writer.violation(name, message);
            }
            let planned = planned.as_ref().filter(|_| stored);
            let rows = result_rows(planned.map(|p| p.plan.clone()), state.send_old.get());
            writer.add_processor(name, std::slice::from_ref(&parts.names.resolve), rows);
            if let Some(planned) = planned {
                writer.add_store(planned.store.clone(), std::slice::from_ref(name));
            }
        };
        let node = builder.add(&[self.node, other.node], GraphNode::new(result.clone(), write));
        let (key_serde, value_serde) = serdes.unzip();
        KTable {
            builder: self.builder.clone(),
            node,
            name: result,
            key_serde: key_serde.or_else(|| self.key_serde.clone()),
            value_serde: value_serde.or(materialized.value),
            sources: Arc::new(sources),
            queryable: materialized.name,
            view,
        }
    }

    /// None: a serde is missing, which the builder has noted.
    #[expect(clippy::type_complexity, reason = "what the caller has, unnamed")]
    fn parts<KO: 'static, VO: 'static, VR: 'static>(
        &self,
        builder: &mut Builder,
        other: &KTable<KO, VO>,
        (names, extractor, joiner, joined, left): (
            Names,
            Extractor<K, V, KO>,
            Joiner<V, VO, VR>,
            TableJoined<K, KO>,
            bool,
        ),
    ) -> Option<Parts<K, V, KO, VO, VR>> {
        let node = names.result.clone();
        let key = builder.resolve_serde(&node, None, self.key_serde.as_ref());
        let value = builder.resolve_serde(&node, None, self.value_serde.as_ref());
        let foreign_key = builder.resolve_serde(&node, None, other.key_serde.as_ref());
        let foreign_value = builder.resolve_serde(&node, None, other.value_serde.as_ref());
        Some(Parts {
            names,
            left,
            key: key?,
            reuse_key_bytes: self.key_serde.is_some(),
            value: value?,
            foreign_key: foreign_key?,
            foreign_value: foreign_value?,
            primary: self.view.view()?,
            foreign: other.view.view()?,
            extractor,
            joiner,
            joined,
            primary_name: self.name.clone(),
            foreign_name: other.name.clone(),
            versioned: self.view.is_versioned(),
            foreign_versioned: other.view.is_versioned(),
        })
    }
}
