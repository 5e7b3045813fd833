results.csv: 3 rows loaded
