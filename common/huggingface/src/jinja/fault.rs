//! Why a template is refused.

pub struct Fault {
    pub text: String,
    /// 0 until it is known.
    pub line: u32,
}

pub type Res<T> = Result<T, Box<Fault>>;

pub fn fault<T>(text: impl Into<String>) -> Res<T> {
    Err(Box::new(Fault { text: text.into(), line: 0 }))
}

pub fn fault_at<T>(line: u32, text: impl Into<String>) -> Res<T> {
    Err(Box::new(Fault { text: text.into(), line }))
}

impl Fault {
    pub fn described(&self) -> String {
        if self.line == 0 {
            return self.text.clone();
        }
        format!("line {}: {}", self.line, self.text)
    }
}
