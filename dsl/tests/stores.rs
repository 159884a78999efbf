//! What a processor finds in its stores: every look-up, forward and backward, over one key and over several.
use std::error::Error;

use millstream_dsl::{prelude::*, store::StoreFailure, testing::Runner};

type TestResult = Result<(), Box<dyn Error>>;

fn text(s: &str) -> String {
    s.to_owned()
}
fn all<T>(rows: impl Iterator<Item = Result<T, StoreFailure>>) -> Result<Vec<T>, StoreFailure> {
    rows.collect()
}

/// Runs `look` once with a store of a processor. What it finds comes back as text.
fn looked_up<F>(store: Store<String, i64>, look: F) -> Result<Vec<String>, Box<dyn Error>>
where
    F: Fn(&FixedKeyContext<'_, '_, String, String>) -> Result<Vec<String>, BoxError> + Send + Sync + Copy + 'static,
{
    struct Look<F>(F);
    impl<F> FixedKeyProcessor<String, String, String> for Look<F>
    where
        F: Fn(&FixedKeyContext<'_, '_, String, String>) -> Result<Vec<String>, BoxError>,
    {
        fn process(
            &mut self,
            ctx: &FixedKeyContext<'_, '_, String, String>,
            record: FixedKeyRecord<'_, String, String>,
        ) -> Result<(), BoxError> {
            for found in (self.0)(ctx)? {
                ctx.forward(record.with_value(&found))?;
            }
            Ok(())
        }
    }
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .process_values_with(move || Look(look), Processing::new().with_store(store))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("in", text("k"), text("go"), 100)?;
    let found = runner.read::<String, String>("out");
    Ok(found.into_iter().map(|(_, value)| value).collect())
}

#[test]
fn rows_of_keys() -> TestResult {
    let found = looked_up(Store::key_value("rows"), |ctx| {
        let rows = ctx.store::<KeyValueStore<String, i64>>("rows")?;
        let (a, ab, b, c) = (text("a"), text("ab"), text("b"), text("c"));
        rows.put_all([(&c, &4), (&a, &1), (&b, &3), (&ab, &2)])?;
        let kept = rows.put_if_absent(&a, &9)?;
        let deleted = rows.delete(&c)?;
        Ok(vec![
            format!("{:?}", all(rows.all())?),
            format!("{:?}", all(rows.reverse_all())?),
            format!("{:?}", all(rows.range(Some(&ab), None)?)?),
            format!("{:?}", all(rows.reverse_range(None, Some(&ab))?)?),
            format!("{:?}", all(rows.prefix(b"a"))?),
            format!("{kept:?} {deleted:?}"),
        ])
    })?;
    let expected = [
        r#"[("a", 1), ("ab", 2), ("b", 3)]"#,
        r#"[("b", 3), ("ab", 2), ("a", 1)]"#,
        r#"[("ab", 2), ("b", 3)]"#,
        r#"[("ab", 2), ("a", 1)]"#,
        r#"[("a", 1), ("ab", 2)]"#,
        "Some(1) Some(4)",
    ];
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn windows_of_keys() -> TestResult {
    let found = looked_up(Store::window("windows", hours(1), millis(10), false), |ctx| {
        let windows = ctx.store::<WindowStore<String, i64>>("windows")?;
        let (a, b) = (text("a"), text("b"));
        for (key, start, value) in [(&b, 10, 1), (&a, 20, 2), (&a, 10, 3), (&b, 30, 4)] {
            windows.put(key, Some(&value), start)?;
        }
        windows.put(&b, None, 30)?;
        let reach = |keys, reverse| all(windows.fetch_range(keys, 10, 20, reverse)?);
        Ok(vec![
            format!("{:?}", all(windows.fetch(&a, 0, 19, false)?)?),
            format!("{:?}", all(windows.fetch(&a, 0, 20, true)?)?),
            format!("{:?}", reach((None, None), false)?),
            format!("{:?}", reach((None, Some(&a)), true)?),
            format!("{:?} {:?}", windows.get(&b, 10)?, windows.get(&b, 30)?),
            format!("{:?}", all(windows.all(true))?),
        ])
    })?;
    let expected = [
        "[(10, 3)]",
        "[(20, 2), (10, 3)]",
        r#"[("a", 10, 3), ("a", 20, 2), ("b", 10, 1)]"#,
        r#"[("a", 20, 2), ("a", 10, 3)]"#,
        "Some(1) None",
        r#"[("b", 10, 1), ("a", 20, 2), ("a", 10, 3)]"#,
    ];
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn sessions_of_keys() -> TestResult {
    let found = looked_up(Store::session("sessions", hours(1)), |ctx| {
        let sessions = ctx.store::<SessionStore<String, i64>>("sessions")?;
        let (a, b) = (text("a"), text("b"));
        let window = |start, end| Window { start, end };
        for (key, session, value) in [(&a, window(1, 5), 1), (&a, window(20, 25), 2), (&b, window(3, 8), 3)] {
            sessions.put(key, session, Some(&value))?;
        }
        let spans = |rows: Vec<(String, Window, i64)>| -> Vec<_> {
            rows.into_iter()
                .map(|(key, w, value)| format!("{key}@{}-{}={value}", w.start, w.end))
                .collect()
        };
        let mut found = vec![
            spans(all(sessions.find_range((None, None), 0, 100, false)?)?).join(" "),
            spans(all(sessions.find_range((Some(&a), Some(&a)), 0, 100, true)?)?).join(" "),
            spans(all(sessions.find_range((None, None), 6, 10, false)?)?).join(" "),
            format!(
                "{} {}",
                all(sessions.find(&a, 6, 30)?)?.len(),
                all(sessions.fetch(&a)?)?.len()
            ),
        ];
        sessions.remove(&a, window(1, 5))?;
        found.push(format!(
            "{:?} {:?}",
            sessions.get(&a, window(1, 5))?,
            sessions.get(&a, window(20, 25))?
        ));
        Ok(found)
    })?;
    let expected = [
        "a@1-5=1 a@20-25=2 b@3-8=3",
        "a@20-25=2 a@1-5=1",
        "b@3-8=3",
        "1 2",
        "None Some(2)",
    ];
    assert_eq!(found, expected);
    Ok(())
}

/// The newest row was told, although it stayed.
#[test]
fn what_is_too_old_to_be_deleted_is_not_told() -> TestResult {
    let found = looked_up(Store::versioned("versions", millis(10)), |ctx| {
        let versions = ctx.store::<VersionedKeyValueStore<String, i64>>("versions")?;
        let (a, b) = (text("a"), text("b"));
        versions.put(&a, Some(&1), 20)?;
        versions.put(&b, Some(&2), 60)?;
        let deleted = versions.delete(&a, 49)?.map(|row| row.value);
        let kept = versions.get(&a)?.map(|row| row.value);
        let now = versions.delete(&a, 50)?.map(|row| row.value);
        Ok(vec![format!("{deleted:?} {kept:?} {now:?}")])
    })?;
    assert_eq!(found, ["None Some(1) Some(1)"]);
    Ok(())
}

#[test]
fn versions_of_keys() -> TestResult {
    let found = looked_up(Store::versioned("versions", hours(1)), |ctx| {
        let versions = ctx.store::<VersionedKeyValueStore<String, i64>>("versions")?;
        let key = text("a");
        let mut puts = vec![versions.put(&key, Some(&1), 10)?];
        puts.push(versions.put(&key, Some(&2), 30)?);
        // What comes late is valid until what has been there already.
        puts.push(versions.put(&key, Some(&3), 20)?);
        let value_at = |time| versions.get_as_of(&key, time).map(|found| found.map(|row| row.value));
        let mut found = vec![
            format!("{puts:?}"),
            format!("{:?} {:?} {:?}", value_at(9)?, value_at(19)?, value_at(25)?),
        ];
        versions.delete(&key, 40)?;
        found.push(format!(
            "{:?} {:?}",
            versions.get(&key)?.map(|row| row.value),
            value_at(39)?
        ));
        Ok(found)
    })?;
    assert_eq!(found[1..], ["None Some(1) Some(3)", "None Some(2)"]);
    assert!(found[0].ends_with(", 30]"), "{found:?}");
    Ok(())
}
