"""What the pipeline costs: stage times and peak memory over sizes, growth exponents, decisions per second."""
