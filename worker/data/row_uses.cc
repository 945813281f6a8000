#include "worker/data/row_uses.h"

#include <numeric>

namespace equipoise {

void RowUsesBuilder::use(std::int64_t first_row, std::int64_t count) {
  place_.resize(place_.size() + static_cast<std::size_t>(count));
  std::iota(place_.end() - count, place_.end(), num_places());
  row_.resize(row_.size() + static_cast<std::size_t>(count));
  std::iota(row_.end() - count, row_.end(), first_row);
}

void RowUsesBuilder::pad(std::int64_t row, std::int64_t count) {
  row_.insert(row_.end(), static_cast<std::size_t>(count), row);
}

RowUses RowUsesBuilder::build(std::int64_t num_rows) const {
  const auto tensor = [](const std::vector<std::int64_t>& values) { return torch::tensor(values, torch::kInt64); };
  RowUses uses{.row_N = {}, .num_rows = num_rows, .rounds = {}};
  std::vector<std::int64_t> own_place(static_cast<std::size_t>(num_rows));
  std::iota(own_place.begin(), own_place.end(), std::int64_t{0});
  if (row_ == own_place && place_ == own_place) return uses;

  std::vector<std::vector<std::int64_t>> places_of_row(static_cast<std::size_t>(num_rows));
  for (const std::int64_t place : place_) {
    places_of_row[static_cast<std::size_t>(row_[static_cast<std::size_t>(place)])].push_back(place);
  }
  std::size_t num_rounds = 1;
  for (const auto& places : places_of_row) num_rounds = std::max(num_rounds, places.size());
  std::vector<std::vector<std::int64_t>> rows(num_rounds), places(num_rounds);
  for (std::size_t row = 0; row < places_of_row.size(); ++row) {
    for (std::size_t round = 0; round < places_of_row[row].size(); ++round) {
      rows[round].push_back(static_cast<std::int64_t>(row));
      places[round].push_back(places_of_row[row][round]);
    }
  }
  uses.row_N = tensor(row_);
  for (std::size_t round = 0; round < num_rounds; ++round) {
    uses.rounds.push_back({.row_R = tensor(rows[round]), .place_R = tensor(places[round])});
  }
  return uses;
}

}  // namespace equipoise
