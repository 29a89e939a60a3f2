#pragma once

#include "parallel/collective_ring.hpp"

namespace tesserank::parallel {

/// A call of a collective, while it lasts. Private to this folder.
class CollectiveScope {
  public:
    /// `ring` may be null: then nothing is noted.
    CollectiveScope(CollectiveRing* ring, CollectiveCall const& call) : ring_{ring} {
        if (ring_ != nullptr) ring_->begin(call);
    }
    ~CollectiveScope() {
        if (ring_ != nullptr) ring_->end();
    }
    CollectiveScope(CollectiveScope const&) = delete;
    CollectiveScope& operator=(CollectiveScope const&) = delete;

  private:
    CollectiveRing* ring_;
};

}  // namespace tesserank::parallel
