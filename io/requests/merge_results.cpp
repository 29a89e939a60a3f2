#include "io/requests/merge_results.hpp"

#include "io/journal/journal.hpp"
#include "io/json_reader.hpp"
#include "io/requests/id_set.hpp"
#include "io/requests/json_text.hpp"
#include "io/requests/line_reader.hpp"
#include "io/requests/request_line.hpp"
#include "kernels/error.hpp"

#include <filesystem>

namespace tesserank::io {
namespace {

using kernels::InputError;

void check_run_is_over(std::string const& path) {
    auto const journal = journal_of(path);
    std::error_code ignored;
    if (!std::filesystem::exists(journal, ignored)) return;
    throw InputError(path + ": its run is not over (" + journal +
                     " is there); run it again, it goes on by itself");
}

class Merger {
  public:
    explicit Merger(OutputFile& output) : output_{output} {}

    void append(std::string const& path) {
        check_run_is_over(path);
        LineReader lines(path, longest_request_line);
        while (lines.next()) {
            if (lines.is_blank()) continue;
            auto const place = path + ": line " + std::to_string(lines.line());
            if (lines.too_long()) throw InputError(place + ": longer than 64 MiB");
            note(lines.text(), place);
            output_.write(lines.text());
            output_.write("\n");
        }
    }
    MergedResults const& merged() const { return merged_; }

  private:
    void note(std::string_view line, std::string const& place) {
        JsonDocument const document(line, place);
        auto const root = document.root();
        // The number of a result, counted over all files, is what an id set remembers of a line.
        ++merged_.results;
        if (root.find("error")) {
            // A request whose id another one had already has a result too, which says so.
            ++merged_.errors;
            return;
        }
        auto const id = root.find("id");
        if (!id) return;
        if (auto const first = ids_.insert(id->string(), merged_.results)) {
            throw InputError(place + ": id " + quote_start(id->string()) + " is that of result " +
                             std::to_string(*first) +
                             " already; every file to be merged must be of other requests");
        }
    }

    OutputFile& output_;
    IdSet ids_;
    MergedResults merged_;
};

}  // namespace

MergedResults merge_results(std::span<std::string const> parts, OutputFile& output) {
    Merger merger(output);
    for (auto const& path : parts) merger.append(path);
    return merger.merged();
}

}  // namespace tesserank::io
