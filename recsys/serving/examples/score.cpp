// Scores golden rows with the model of a bundle, in plain C++: score model.pt golden.pt
//
// golden.pt holds a dictionary of tensors: the inputs by their names in signature.json, and "__expected", the scores
// that they must have, (rows, tasks) float64. Ends with 0 if all scores are right to within 1e-6, 1 if not, 2 if a file
// cannot be read.

#include <torch/script.h>

#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

constexpr double TOLERANCE = 1e-6;

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: score model.pt golden.pt\n";
    return 2;
  }
  try {
    torch::jit::Module model = torch::jit::load(argv[1]);
    model.eval();  // never torch::jit::freeze: it gives wrong scores where a layer is read twice, as in Dice
    std::ifstream file(argv[2], std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    c10::Dict<std::string, at::Tensor> inputs;
    at::Tensor expected;
    for (const auto& entry : torch::jit::pickle_load(bytes).toGenericDict()) {
      if (entry.key().toStringRef() == "__expected") {
        expected = entry.value().toTensor();
      } else {
        inputs.insert(entry.key().toStringRef(), entry.value().toTensor());
      }
    }
    const c10::InferenceMode without_gradients;
    const at::Tensor scores = model.forward({inputs}).toTensor();
    const double difference = (scores - expected).abs().max().item<double>();
    std::cout << scores.size(0) << " rows, largest difference " << difference << "\n";
    return difference <= TOLERANCE ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
