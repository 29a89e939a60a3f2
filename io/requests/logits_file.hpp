#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tesserank::io {

/// The HDF5 file of --logits: `/<id>/logits` [tokens, vocabulary] f32, row i the logits from which
/// token i was chosen or scored. Rows may come one by one and sequences mixed; a chunk of rows per
/// open sequence is held in memory. Grows under "<path>.partial" like OutputFile.
class LogitsFile {
  public:
    /// Errors: InputError if no file can be made there.
    LogitsFile(std::string path, std::size_t vocabulary);
    ~LogitsFile();
    LogitsFile(LogitsFile&&) noexcept;

    /// Errors: InputError if `id` cannot name an HDF5 group: "." or "..", a '/' or a NUL in it. To
    /// be asked before any work.
    static void check_id(std::string_view id);

    /// Appends whole rows, [n, vocabulary], to the sequence's data set, which is made on first use.
    /// Errors: InputError like check_id; SystemError with HDF5's text.
    void append(std::string_view id, std::span<float const> rows);
    /// Writes what is held of a sequence that has ended; no more rows may come for it.
    void finish(std::string_view id);
    /// Finishes all sequences, makes the file durable and gives it its name.  Errors: SystemError.
    void commit();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tesserank::io
