-- which places each service has: what is singled out must have siblings
SELECT DISTINCT service_name AS service, route, cloud_region AS region, service_instance_id AS replica, hw_id AS gpu
FROM signal_buckets
WHERE service_name != '' AND (route != '' OR cloud_region != '' OR service_instance_id != '' OR hw_id != '')
