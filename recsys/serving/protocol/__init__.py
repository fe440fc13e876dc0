"""Requests and answers of the Open Inference Protocol (V2), and of plain JSON rows; pure functions, no server."""
