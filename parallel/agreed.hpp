#pragma once

namespace tesserank::parallel {

/// Marks an error that every rank throws, so that it is reported once and the job can end in order:
/// dynamic_cast<Agreed const*>(&error).
class Agreed {
  public:
    virtual ~Agreed() = default;
};

template <class Error>
class AgreedError final : public Error, public Agreed {
  public:
    using Error::Error;
};

}  // namespace tesserank::parallel
