docker build --quiet .
