//! A person without a mouse: the tabulator key from place to place, each of which has to show that
//! it is the one, then letters, space and enter.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Visit;

/// The keys of WebDriver (§17.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Tab,
    Enter,
    Space,
}

impl Key {
    fn code(self) -> &'static str {
        match self {
            Self::Tab => "\u{e004}",
            Self::Enter => "\u{e007}",
            Self::Space => "\u{e00d}",
        }
    }
}

/// More stops than any page has.
const MOST: usize = 80;

/// Of the place that has the focus: whether it is the one, how thick its outline is, how large it is,
/// whether it can be seen, and what it is.
const STOP: &str = "
const here = document.activeElement;
const style = getComputedStyle(here);
const box = here.getBoundingClientRect();
const seen = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
return [here.matches(arguments[0]), style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
  box.width, box.height, seen, here.matches('body, main'), here.outerHTML.slice(0, 120)];
";

impl Visit {
    /// Goes on by the tabulator key until the focus is on what a selector finds. Each stop on the way
    /// must be seen, outlined, and no smaller than WCAG 2.2 wants (2.5.8).
    pub async fn tab_to(&self, selector: &str) -> Result<()> {
        for _ in 0..MOST {
            if self.stop(selector).await? {
                return Ok(());
            }
            self.strike(Key::Tab).await?;
        }
        anyhow::bail!("the tabulator key does not lead to {selector}")
    }

    /// True: the focus is there.
    async fn stop(&self, selector: &str) -> Result<bool> {
        let stop = self.client.execute(STOP, vec![json!(selector)]).await?;
        let number = |at| stop.get(at).and_then(Value::as_f64).unwrap_or(0.0);
        let yes = |at| stop.get(at).and_then(Value::as_bool).unwrap_or(false);
        if yes(5) {
            return Ok(false);
        }
        ensure!(number(1) >= 2.0, "a focus that is not seen: {stop}");
        ensure!(yes(4), "a focus outside the window: {stop}");
        let html = stop.get(6).and_then(Value::as_str).unwrap_or_default();
        // A link in a sentence may be as high as the sentence's line.
        let least = if html.starts_with("<a") { 18.0 } else { 24.0 };
        ensure!(
            number(2) >= 24.0 && number(3) >= least,
            "a target that is too small: {stop}"
        );
        Ok(yes(0))
    }

    /// One key, to whatever has the focus.
    pub async fn strike(&self, key: Key) -> Result<()> {
        self.letters(key.code()).await
    }

    /// Letters, to whatever has the focus.
    pub async fn letters(&self, text: &str) -> Result<()> {
        let here = self.client.active_element().await?;
        here.send_keys(text).await.context("nothing takes the keys")
    }

    /// A key that leads to another page.
    pub async fn strike_for_page(&self, key: Key) -> Result<()> {
        let before = self.request_id().await?;
        self.strike(key).await?;
        self.next_page(&before)
            .await
            .with_context(|| format!("after {key:?}"))
    }
}
