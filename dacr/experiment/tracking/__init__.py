"""What an experiment tells a tracker."""
