#pragma once

#include "io/requests/features_file.hpp"
#include "io/requests/logits_file.hpp"
#include "model/logits.hpp"
#include "model/vision/picture_tiles.hpp"

#include <cstddef>
#include <exception>
#include <span>
#include <string>

namespace tesserank::app {

/// What cannot be written must not end a batch on this rank alone: the first error waits for
/// check(), and what comes behind it is left undone.
class DeferredError {
  public:
    void run(auto const& work) {
        if (error_) return;
        try {
            work();
        } catch (std::exception const&) {
            error_ = std::current_exception();
        }
    }
    /// Errors: the first one of run().
    void check() const {
        if (error_) std::rethrow_exception(error_);
    }

  private:
    std::exception_ptr error_;
};

/// Hands rows of logits from the model to the file.
class FileLogitsSink final : public model::LogitsSink {
  public:
    explicit FileLogitsSink(io::LogitsFile& file) : file_{file} {}
    void append(std::string const& request_id, std::span<float const> logits) override {
        error_.run([&] { file_.append(request_id, logits); });
    }
    void check() const { error_.check(); }

  private:
    io::LogitsFile& file_;
    DeferredError error_;
};

/// Hands the features of pictures from the model to the file.
class FileFeatureSink final : public model::FeatureSink {
  public:
    explicit FileFeatureSink(io::FeaturesFile& file) : file_{file} {}
    void append(std::string const& request_id, std::size_t picture,
                std::span<float const> features) override {
        error_.run([&] { file_.write(request_id, picture, features); });
    }
    void check() const { error_.check(); }

  private:
    io::FeaturesFile& file_;
    DeferredError error_;
};

}  // namespace tesserank::app
