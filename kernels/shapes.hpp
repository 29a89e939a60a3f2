#pragma once

/// The letters that shapes are written with, everywhere in tesserank:
///
///     B  sequences of the batch         Q  query heads        V  vocabulary
///     T  tokens (rows of an activation) K  kv heads           P  ranks
///     H  hidden size                    D  head_dim           I  intermediate size of an MLP
///
/// A lower-case letter is one rank's share: q [T, q*D] are this rank's query heads.
