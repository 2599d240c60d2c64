pub enum Node {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("x")]
pub struct FlattenError;
pub fn unflatten(_pairs: impl Iterator<Item = (String, String)>) -> Result<Node, FlattenError> {
    todo!()
}
