//! A template's syntax tree. Expressions lie in one array: threads share it, and a deep tree is dropped without recursion.

pub type ExprId = u32;
/// Place of a name in `Template::names`.
pub type Name = u32;

/// Names with a meaning of their own, in this order at the front of `Template::names`.
pub const LOOP: Name = 0;
pub const CALLER: Name = 1;
pub const VARARGS: Name = 2;
pub const KWARGS: Name = 3;
pub const OWN_NAMES: [&str; 4] = ["loop", "caller", "varargs", "kwargs"];

#[derive(Default)]
pub struct Template {
    pub expressions: Vec<Expr>,
    pub names: Vec<String>,
    pub constants: Vec<Constant>,
    pub macros: Vec<MacroDefinition>,
    pub loops: Vec<For>,
    pub body: Vec<Statement>,
}

pub enum Constant {
    None,
    Bool(bool),
    /// Decimal digits.
    Integer(String),
    Float(f64),
    Text(String),
}

#[derive(Clone, Copy, PartialEq)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

pub enum Expr {
    Constant(u32),
    Name(Name),
    List(Vec<ExprId>),
    Tuple(Vec<ExprId>),
    Dict(Vec<(ExprId, ExprId)>),
    Attribute(ExprId, Name),
    Item(ExprId, ExprId),
    Slice([Option<ExprId>; 3]),
    Call(ExprId, Box<CallArguments>),
    /// Without a value: of a block's text.
    Filter(Option<ExprId>, Name, Box<CallArguments>),
    Test(ExprId, Name, Box<CallArguments>),
    Negative(ExprId),
    Positive(ExprId),
    Not(ExprId),
    And(ExprId, ExprId),
    Or(ExprId, ExprId),
    Binary(Binary, ExprId, ExprId),
    Compare(ExprId, Vec<(Comparison, ExprId)>),
    Concat(Vec<ExprId>),
    Condition { test: ExprId, then: ExprId, otherwise: Option<ExprId> },
}

#[derive(Default)]
pub struct CallArguments {
    pub positional: Vec<ExprId>,
    pub named: Vec<(Name, ExprId)>,
    pub rest: Option<ExprId>,
    pub named_rest: Option<ExprId>,
}

/// What `set`, `for` and `with` assign to.
pub enum Target {
    Name(Name),
    NamespaceField(Name, Name),
    Tuple(Vec<Target>),
}

pub struct MacroDefinition {
    pub name: Name,
    pub parameters: Vec<Name>,
    /// Of the last parameters.
    pub defaults: Vec<ExprId>,
    pub body: Vec<Statement>,
    pub uses_caller: bool,
    pub uses_varargs: bool,
    pub uses_kwargs: bool,
}

pub struct Statement {
    pub line: u32,
    pub kind: StatementKind,
}

pub enum StatementKind {
    Data(String),
    Output(ExprId),
    /// Place in `Template::loops`.
    For(u32),
    If { branches: Vec<(ExprId, Vec<Statement>)>, otherwise: Vec<Statement> },
    Set(Target, ExprId),
    SetBlock { target: Target, filter: Option<ExprId>, body: Vec<Statement> },
    With { values: Vec<(Target, ExprId)>, body: Vec<Statement> },
    Macro(u32),
    CallBlock { call: ExprId, body: u32 },
    FilterBlock { filter: ExprId, body: Vec<Statement> },
    /// A scope of its own, whose text is written out.
    Scope(Vec<Statement>),
    AutoEscape(ExprId, Vec<Statement>),
    /// Sees no names but the template's own; `scoped`: the surrounding ones too.
    Block { scoped: bool, body: Vec<Statement> },
    Break,
    Continue,
}

pub struct For {
    pub target: Target,
    pub iterated: ExprId,
    pub test: Option<ExprId>,
    pub recursive: bool,
    pub body: Vec<Statement>,
    pub otherwise: Vec<Statement>,
}
