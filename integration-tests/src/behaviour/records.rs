//! Records in, records out: order, offsets, contents, ends, positions.
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use millstream::cluster::{
    Cluster, Consumer, ErrorClass, Fetched, Headers, Isolation, ProducerRecord, StartOffset, TopicHandle,
    TopicPartition,
};

use super::{
    Outcome, TestNames,
    clients::{
        LIMIT, Wakes, admin, consumer, consumer_waking, create, drain, ends, eventually, flush, produce, producer,
        read_all, send, send_record, texts,
    },
};

const READ: Isolation = Isolation::ReadUncommitted;

/// Each partition counts for itself, from 0, without gaps.
pub fn records_arrive_in_order_with_their_offsets(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 2)])?;
    let (first, second) = (names.partition("t", 0), names.partition("t", 1));
    let mut producer = producer(cluster)?;
    for i in 0..1_000 {
        let to = if i % 4 == 3 { &second } else { &first };
        send(&mut *producer, to, &format!("k{i}"), &format!("v{i}"))?;
    }
    flush(&mut *producer)?;
    for (partition, mine) in [(&first, 0), (&second, 1)] {
        let (seen, end) = read_all(cluster, READ, partition)?;
        let expected: Vec<String> = (0..1_000)
            .filter(|i| i32::from(i % 4 == 3) == mine)
            .map(|i| format!("v{i}"))
            .collect();
        assert_eq!(texts(&seen), expected);
        assert!(
            seen.iter().map(|r| r.offset).eq(0..end),
            "offsets are counted one by one"
        );
        assert_eq!(end, expected.len() as i64);
    }
    Ok(())
}

/// The first record that is not older than a time, in the order of offsets; nothing where all are older.
pub fn an_offset_is_found_by_its_time(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    let mut admin = admin(cluster)?;
    let mut since = |time: i64| admin.offsets_since(std::slice::from_ref(&partition), time, LIMIT);
    assert_eq!(since(0)?, [None], "an empty partition");
    let mut producer = producer(cluster)?;
    let topic = producer.topic(&names.topic("t"))?;
    for time in [1_000, 3_000, 2_000, 4_000] {
        let record = ProducerRecord {
            topic,
            partition: 0,
            key: None,
            value: Some(b"v"),
            timestamp: Some(1_700_000_000_000 + time),
            headers: None,
        };
        send_record(&mut *producer, &record)?;
    }
    flush(&mut *producer)?;
    let found = [-5, 1_000, 1_001, 3_000, 3_001, 4_001].map(|time| since((1_700_000_000_000 + time).max(0)));
    let found: Result<Vec<_>, _> = found.into_iter().collect();
    let expected = [Some(0), Some(0), Some(1), Some(1), Some(3), None].map(|offset| vec![offset]);
    assert_eq!(found?, expected);
    Ok(())
}

/// Null and empty are different things, for keys, values and header values; headers keep order and repetition.
pub fn timestamps_headers_nulls_and_empty_bytes_are_kept(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let mut producer = producer(cluster)?;
    let topic = producer.topic(&names.topic("t"))?;
    let headers = Headers::default();
    headers.add("a", Some(b"1"));
    headers.add("b", None);
    headers.add("a", Some(b""));
    type Case<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, i64, bool);
    let cases: [Case<'_>; 4] = [
        (None, None, 1, false),
        (Some(b""), Some(b""), 1_700_000_000_000, false),
        (Some(b"k"), None, 5, true),
        (None, Some(b"v"), 4, false),
    ];
    for (key, value, timestamp, with_headers) in cases {
        let record = ProducerRecord {
            topic,
            partition: 0,
            key,
            value,
            timestamp: Some(timestamp),
            headers: with_headers.then_some(&headers),
        };
        send_record(&mut *producer, &record)?;
    }
    flush(&mut *producer)?;
    let (seen, _) = read_all(cluster, READ, &names.partition("t", 0))?;
    assert_eq!(seen.len(), cases.len());
    for (record, (key, value, timestamp, with_headers)) in seen.iter().zip(cases) {
        assert_eq!(
            (record.key.as_deref(), record.value.as_deref(), record.timestamp),
            (key, value, timestamp)
        );
        let expected = if with_headers {
            vec![
                ("a".into(), Some(b"1".to_vec())),
                ("b".into(), None),
                ("a".into(), Some(Vec::new())),
            ]
        } else {
            Vec::new()
        };
        assert_eq!(record.headers, expected);
    }
    Ok(())
}

/// No timestamp given: the time of sending.
pub fn a_record_without_timestamp_gets_the_time_of_sending(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map(|d| d.as_millis() as i64)
    };
    let mut producer = producer(cluster)?;
    let topic = producer.topic(&names.topic("t"))?;
    let before = now()?;
    let record = ProducerRecord {
        topic,
        partition: 0,
        key: None,
        value: Some(b"v"),
        timestamp: None,
        headers: None,
    };
    send_record(&mut *producer, &record)?;
    flush(&mut *producer)?;
    let (seen, _) = read_all(cluster, READ, &names.partition("t", 0))?;
    // A monotonic clock may differ from the wall clock by a few milliseconds.
    let (from, to) = (before - 1_000, now()? + 1_000);
    assert!(
        seen.iter().all(|r| (from..=to).contains(&r.timestamp)),
        "{:?}",
        seen.first()
    );
    assert_eq!(seen.len(), 1);
    Ok(())
}

/// The end of an empty partition is told too; after more records it is told again.
pub fn the_end_is_reported_again_after_more_records(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    let mut consumer = consumer(cluster, READ)?;
    consumer.assign(&partition, StartOffset::Earliest)?;
    assert_eq!(drain(&mut *consumer, &partition)?, (Vec::new(), 0));
    produce(cluster, &partition, &["a", "b"])?;
    let (seen, end) = drain_to(&mut *consumer, &partition, 2)?;
    assert_eq!((seen, end), (vec!["a".to_owned(), "b".to_owned()], 2));
    produce(cluster, &partition, &["c"])?;
    assert_eq!(drain_to(&mut *consumer, &partition, 3)?, (vec!["c".to_owned()], 3));
    Ok(())
}

/// Reads until an end at or behind `end`.
fn drain_to(
    consumer: &mut dyn Consumer,
    partition: &TopicPartition,
    end: i64,
) -> millstream::cluster::Result<(Vec<String>, i64)> {
    let mut all = Vec::new();
    loop {
        let (seen, at) = drain(consumer, partition)?;
        all.extend(texts(&seen));
        if at >= end {
            return Ok((all, at));
        }
    }
}

/// Whoever is told of an end sleeps until he is woken: what piled up while he was busy must not be cut at each end there was
/// meanwhile, or he never catches up.
pub fn what_piled_up_is_not_cut_at_former_ends(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    const PIECES: usize = 20;
    create(cluster, &[(names.topic("t"), 2)])?;
    let (partition, other) = (names.partition("t", 0), names.partition("t", 1));
    let mut consumer = consumer(cluster, READ)?;
    consumer.assign(&partition, StartOffset::Earliest)?;
    consumer.assign(&other, StartOffset::Earliest)?;
    drain(&mut *consumer, &partition)?;
    let mut producer = producer(cluster)?;
    // On a machine that is short of time most may come later than they are looked for, but not each time.
    let mut most = 0;
    for round in 1..=5 {
        for _ in 0..PIECES {
            // The answer that brings the other's record says that this partition has no more.
            for to in [&partition, &other] {
                send(&mut *producer, to, "k", "v")?;
                flush(&mut *producer)?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        std::thread::sleep(Duration::from_secs(1));
        let mut at_once = 0;
        if let Fetched::Records(batch) = consumer.fetch(&partition, 1_000)? {
            at_once = batch.len();
        }
        let end = PIECES * round;
        let (rest, at) = drain_to(&mut *consumer, &partition, end as i64)?;
        assert_eq!((at_once + rest.len(), at), (PIECES, end as i64));
        most = most.max(at_once);
        if most > PIECES / 2 {
            return Ok(());
        }
    }
    Err(format!("of {PIECES} records that had piled up {most} came at once").into())
}

/// A position is moved back and forth; what was fetched ahead is forgotten.
pub fn seek_reads_again(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    produce(cluster, &partition, &["a", "b", "c", "d"])?;
    let mut consumer = consumer(cluster, READ)?;
    consumer.assign(&partition, StartOffset::At(2))?;
    assert_eq!(texts(&drain(&mut *consumer, &partition)?.0), ["c", "d"]);
    consumer.seek(&partition, 1)?;
    assert_eq!(texts(&drain(&mut *consumer, &partition)?.0), ["b", "c", "d"]);
    consumer.seek(&partition, 4)?;
    assert_eq!(drain(&mut *consumer, &partition)?, (Vec::new(), 4));
    consumer.unassign(&partition);
    consumer.assign(&partition, StartOffset::Latest)?;
    assert_eq!(drain(&mut *consumer, &partition)?, (Vec::new(), 4));
    Ok(())
}

/// The first error of fetching from an offset.
fn refused(cluster: &dyn Cluster, partition: &TopicPartition, offset: i64) -> millstream::cluster::Result<ErrorClass> {
    let mut consumer = consumer(cluster, READ)?;
    consumer.assign(partition, StartOffset::At(offset))?;
    eventually("the offset to be refused", || {
        consumer.serve()?;
        match consumer.fetch(partition, 10) {
            Err(error) => {
                assert_eq!(
                    error.partition.as_ref(),
                    Some(partition),
                    "the error names the partition"
                );
                Ok(Some(error.class))
            }
            Ok(Fetched::Nothing) => Ok(None),
            Ok(_) => Ok(Some(ErrorClass::Fatal)),
        }
    })
}

/// No silent reset: what to do is the caller's decision.
pub fn an_offset_that_does_not_exist_is_corrupted(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    produce(cluster, &partition, &["a", "b", "c"])?;
    assert_eq!(refused(cluster, &partition, 100)?, ErrorClass::Corrupted);
    Ok(())
}

/// Deleting records moves the start; offsets below it do not exist any more.
pub fn deleted_records_are_gone(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    produce(cluster, &partition, &["a", "b", "c", "d", "e"])?;
    admin(cluster)?.delete_records(&[(partition.clone(), 3)], LIMIT)?;
    eventually("the start to move", || {
        Ok((ends(cluster, &partition)?.0 == 3).then_some(()))
    })?;
    let (seen, end) = read_all(cluster, READ, &partition)?;
    assert_eq!((texts(&seen), end), (vec!["d".to_owned(), "e".to_owned()], 5));
    assert_eq!(seen.first().map(|r| r.offset), Some(3));
    assert_eq!(refused(cluster, &partition, 1)?, ErrorClass::Corrupted);
    Ok(())
}

/// Writing to a topic that does not exist is an error that names it.
pub fn a_missing_topic_is_named(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    let mut producer = producer(cluster)?;
    let missing = names.topic("missing");
    let outcome = producer
        .topic(&missing)
        .and_then(|topic| producer.partition_count(topic));
    let Err(error) = outcome else {
        return Err("a missing topic has no partition count".into());
    };
    assert_eq!(error.class, ErrorClass::Fatal, "{error}");
    assert!(error.message.contains(&missing), "{error}");
    let exists = admin(cluster)?.partition_counts(&[missing], LIMIT)?;
    assert!(exists.is_empty(), "asking does not create it");
    Ok(())
}

/// The highest offset of every partition written, once.
pub fn acknowledged_offsets_are_reported_once(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 3)])?;
    let mut producer = producer(cluster)?;
    for i in 0..10 {
        send(&mut *producer, &names.partition("t", i % 2 * 2), "k", "v")?;
    }
    flush(&mut *producer)?;
    let topic = producer.topic(&names.topic("t"))?;
    let mut acknowledged: Vec<(TopicHandle, i32, i64)> = Vec::new();
    producer.take_acknowledged(&mut |t, p, o| acknowledged.push((t, p, o)));
    acknowledged.sort_unstable_by_key(|(_, p, _)| *p);
    assert_eq!(acknowledged, [(topic, 0, 4), (topic, 2, 4)]);
    acknowledged.clear();
    producer.take_acknowledged(&mut |t, p, o| acknowledged.push((t, p, o)));
    assert!(acknowledged.is_empty());
    Ok(())
}

/// Somebody who sleeps until he is woken gets the record.
pub fn a_waiting_consumer_is_woken(cluster: &dyn Cluster, names: &TestNames) -> Outcome {
    create(cluster, &[(names.topic("t"), 1)])?;
    let partition = names.partition("t", 0);
    let wakes = Arc::new(Wakes::default());
    let mut consumer = consumer_waking(cluster, READ, Arc::clone(&wakes))?;
    consumer.assign(&partition, StartOffset::Earliest)?;
    drain(&mut *consumer, &partition)?;
    // What came late from the start has come by then.
    std::thread::sleep(Duration::from_millis(100));
    while !matches!(consumer.fetch(&partition, 10)?, Fetched::Nothing) {}
    let before = wakes.count();
    produce(cluster, &partition, &["a"])?;
    eventually("the wake-up", || Ok((wakes.count() > before).then_some(())))?;
    assert_eq!(texts(&drain(&mut *consumer, &partition)?.0), ["a"]);
    Ok(())
}
