//! Pictures as SVG that the server makes: no script, no style of their own but classes, a title and a
//! description for who does not see them, and the same numbers as a table.

use askama::Template;

const WIDTH: i64 = 640;
const TOP: i64 = 16;
const TALL: i64 = 160;
const ROW: i64 = 30;
const NAMES: i64 = 220;

/// One bar, or one row: its label, and a value of each series.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    pub(crate) label: String,
    pub(crate) values: Vec<i64>,
}

/// How the values of one label stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    OnEachOther,
    Beside,
}

/// A rectangle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    class: &'static str,
    x: i64,
    y: i64,
    width: i64,
    height: i64,
}

/// Words in the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    class: &'static str,
    x: i64,
    y: i64,
    text: String,
}

/// A picture with its table.
#[derive(Clone, Debug, Template)]
#[template(path = "desk_chart.html")]
pub(crate) struct Chart {
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) about: String,
    /// A class and a name for each series.
    pub(crate) series: Vec<(&'static str, String)>,
    /// What the table's first column and the table itself are called.
    pub(crate) first: String,
    pub(crate) numbers: String,
    pub(crate) bars: Vec<Bars>,
    width: i64,
    height: i64,
    base: i64,
    parts: Vec<Part>,
    marks: Vec<Mark>,
}

impl Chart {
    /// Nothing drawn yet.
    pub(crate) fn new(id: &'static str, title: &str, about: &str) -> Self {
        Self {
            id,
            title: title.to_owned(),
            about: about.to_owned(),
            series: Vec::new(),
            first: String::new(),
            numbers: String::new(),
            bars: Vec::new(),
            width: WIDTH,
            height: TOP + TALL + 24,
            base: TOP + TALL,
            parts: Vec::new(),
            marks: Vec::new(),
        }
    }

    pub(crate) fn named(
        mut self,
        series: &[(&'static str, &str)],
        first: &str,
        numbers: &str,
    ) -> Self {
        self.series = series
            .iter()
            .map(|(class, name)| (*class, (*name).to_owned()))
            .collect();
        self.first = first.to_owned();
        self.numbers = numbers.to_owned();
        self
    }

    /// Columns over time, the series on each other.
    pub(crate) fn stacked(self, bars: Vec<Bars>) -> Self {
        self.columns(bars, Stand::OnEachOther)
    }

    /// Columns over time, the series beside each other.
    pub(crate) fn beside(self, bars: Vec<Bars>) -> Self {
        self.columns(bars, Stand::Beside)
    }

    fn columns(mut self, bars: Vec<Bars>, stand: Stand) -> Self {
        let reach = |bar: &Bars| match stand {
            Stand::OnEachOther => bar.values.iter().sum(),
            Stand::Beside => bar.values.iter().copied().max().unwrap_or(0),
        };
        let most = bars.iter().map(reach).max().unwrap_or(0).max(1);
        let count = i64::try_from(bars.len()).unwrap_or(1).max(1);
        let room = WIDTH / count;
        // Six labels at most, or they would run into each other.
        let every = count.div_euclid(6).max(1);
        for (index, bar) in (0_i64..).zip(&bars) {
            let left = index * room;
            self.column(bar, (left, (room - 2).max(1)), most, stand);
            if index % every == 0 {
                self.mark("tick", left, self.base + 18, bar.label.clone());
            }
        }
        self.mark("most", 0, TOP - 4, most.to_string());
        self.bars = bars;
        self
    }

    fn column(&mut self, bar: &Bars, (left, room): (i64, i64), most: i64, stand: Stand) {
        let series = i64::try_from(bar.values.len()).unwrap_or(1).max(1);
        let mut up = 0;
        for (index, value) in (0_i64..).zip(&bar.values) {
            let height = value * TALL / most;
            let (x, width) = match stand {
                Stand::OnEachOther => (left, room),
                Stand::Beside => (left + index * room / series, (room / series).max(1)),
            };
            self.part(index, (x, self.base - up - height), (width, height));
            if stand == Stand::OnEachOther {
                up += height;
            }
        }
    }

    /// One row for each label, the series one after the other; the end says the numbers.
    pub(crate) fn rows(mut self, bars: Vec<Bars>) -> Self {
        let most = bars.iter().map(|bar| bar.values.iter().sum()).max();
        let most = most.unwrap_or(0_i64).max(1);
        self.height = ROW * i64::try_from(bars.len()).unwrap_or(0) + 8;
        self.base = 0;
        for (index, bar) in (0_i64..).zip(&bars) {
            let y = index * ROW + 6;
            let mut x = NAMES;
            for (series, value) in (0_i64..).zip(&bar.values) {
                let width = value * (WIDTH - NAMES - 70) / most;
                self.part(series, (x, y), (width, ROW - 12));
                x += width;
            }
            let numbers: Vec<String> = bar.values.iter().map(ToString::to_string).collect();
            self.mark("name", 0, y + 14, bar.label.clone());
            self.mark("value", x + 6, y + 14, numbers.join(" + "));
        }
        self.bars = bars;
        self
    }

    fn part(&mut self, series: i64, (x, y): (i64, i64), (width, height): (i64, i64)) {
        let series = usize::try_from(series).unwrap_or(0);
        let class = self.series.get(series).map_or("", |(class, _)| *class);
        if width > 0 && height > 0 {
            self.parts.push(Part {
                class,
                x,
                y,
                width,
                height,
            });
        }
    }

    fn mark(&mut self, class: &'static str, x: i64, y: i64, text: String) {
        self.marks.push(Mark { class, x, y, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(values: &[(&str, &[i64])]) -> Vec<Bars> {
        values
            .iter()
            .map(|(label, values)| Bars {
                label: (*label).to_owned(),
                values: values.to_vec(),
            })
            .collect()
    }

    #[test]
    fn a_small_picture_is_exactly_this() {
        let chart = Chart::new("c", "T <1>", "About & more")
            .named(&[("good", "In"), ("bad", "Out")], "Hour", "Numbers")
            .stacked(bars(&[("09", &[3, 1]), ("10", &[0, 2])]));
        let expected = include_str!("tests/chart.html");
        let drawn = chart.render().unwrap();
        assert_eq!(drawn.trim_end(), expected.trim_end());
    }

    #[test]
    fn nothing_leaves_the_picture() {
        let many: Vec<Bars> = (0..30)
            .map(|n| Bars {
                label: n.to_string(),
                values: vec![n * 1_000_000_007, 5],
            })
            .collect();
        for chart in [
            Chart::new("a", "", "").stacked(many.clone()),
            Chart::new("b", "", "").beside(many.clone()),
            Chart::new("c", "", "").rows(many),
        ] {
            for part in &chart.parts {
                let right = part.x + part.width;
                let low = part.y + part.height;
                assert!(part.x >= 0 && right <= chart.width, "{part:?}");
                assert!(part.y >= 0 && low <= chart.height, "{part:?}");
            }
        }
    }
}
