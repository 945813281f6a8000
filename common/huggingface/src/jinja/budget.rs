//! Fuel: what a template's work costs.

use super::fault::{fault, Res};
use std::cell::Cell;

/// One unit pays for an instruction, an item or 64 bytes.
pub struct Budget(Cell<u64>);

const BYTES_OF_FUEL: usize = 64;

impl Budget {
    pub fn new(fuel: u64) -> Self {
        Budget(Cell::new(fuel))
    }

    pub fn spend(&self, fuel: u64) -> Res<()> {
        match self.0.get().checked_sub(fuel) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => fault("does more work than a chat template may"),
        }
    }

    /// Before they are made.
    pub fn spend_bytes(&self, bytes: usize) -> Res<()> {
        self.spend((bytes / BYTES_OF_FUEL) as u64)
    }

    /// Before they are made: values of 24 bytes, without what they refer to.
    pub fn spend_items(&self, items: usize) -> Res<()> {
        self.spend((items / 4) as u64 + 1)
    }
}
