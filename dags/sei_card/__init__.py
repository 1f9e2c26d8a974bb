"""The scorecard of `sei_scorecard`: its figures, and the page that shows them. Knows neither Airflow nor the lake."""
